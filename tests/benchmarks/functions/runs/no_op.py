"""Does nothing."""

from cdc import Context, function


@function("no-op", on="measured/no-op")
async def no_op(ctx: Context) -> None:
    pass
