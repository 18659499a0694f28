"""What a call cost, by the prices that come with the package `genai-prices`; nothing is ever fetched."""

from __future__ import annotations

from decimal import Decimal

from cdc.ai.call import Usage

_VENDORS = {"gemini": "google", "voyage": "voyageai"}
"""Our names of providers that the price list calls otherwise."""


def cost(provider: str, model: str, usage: Usage) -> Decimal | None:
    """US dollars for `usage`; None when they are not known, which is never told as zero.

    Unknown are models that are not on the list or are there without a price (such as local ones), and calls whose
    provider did not say how much was used.
    """
    import genai_prices  # only where a price is asked for: the list takes 6 MB in each process

    try:
        priced = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cached_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            model,
            provider_id=_VENDORS.get(provider, provider),
        )
    except (LookupError, ValueError):
        # No such model; or counts that contradict each other, such as more cached than sent.
        return None
    counts = {"input_mtok": usage.input_tokens, "output_mtok": usage.output_tokens}
    for key, count in counts.items():
        has_price = getattr(priced.model_price, key, None) is not None
        if (count is None and has_price) or (count and not has_price):
            return None
    return priced.total_price or None
