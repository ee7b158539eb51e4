"""The base class of the tables of a protocol file."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class ProtocolModel(BaseModel):
    """An immutable table that refuses unknown keys.

    Attributes:
        optional: fields that are omitted from the content while they have their default. A field that is added to the
            format later belongs here, so that the hashes of protocols that do not use it stay the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    optional: ClassVar[tuple[str, ...]] = ()

    def optional_fields(self) -> tuple[str, ...]:
        """Return the names in :attr:`optional`, or others where they depend on the content."""
        return self.optional

    @model_serializer(mode="wrap")
    def _without_defaults(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = plain(self)
        fields = type(self).model_fields
        omitted = self.optional_fields()
        return {
            k: v
            for k, v in values.items()
            if k not in omitted or getattr(self, k) != fields[k].get_default(call_default_factory=True)
        }
