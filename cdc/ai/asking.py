"""One way to write a question for all providers, and to read the answer as a model class.

`prompt` and `system` are texts, `messages` a list of `{"role": "system"|"user"|"assistant", "content": text}`. The
options `max_tokens`, `temperature`, `top_p`, `stop` and `stream` are known to all; any other is the provider's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cdc.ai import models
from cdc.ai.call import Answer
from cdc.ai.errors import OutputInvalid
from cdc.ai.providers import missing_package
from cdc.errors import ConfigurationError

Message = Mapping[str, Any]
Output = type[BaseModel] | None
T = TypeVar("T", bound=BaseModel)

LONGEST_ANSWER = 4096
"""Tokens for an answer of Anthropic, whose API wants a number; each of its models can give as many."""


def body_for(
    model: str,
    prompt: str | None = None,
    system: str | None = None,
    messages: Sequence[Message] | None = None,
    output: Output = None,
    **options: Any,
) -> dict[str, Any]:
    """The request as the provider of `model` wants it; with `output`, one whose answer is JSON of that class.

    Raises:
        ConfigurationError: the model's provider is unknown, its package is missing, or nothing is asked.
    """
    said = [*(messages or ()), *([{"role": "user", "content": prompt}] if prompt is not None else ())]
    if not said:
        raise ConfigurationError(f"Nothing is asked of {model}.", hint="Give a prompt, messages or a body.")
    if system is not None:
        said.insert(0, {"role": "system", "content": system})
    return _BODIES[models.parse(model).provider](said, output, options)


def parsed(answer: Answer, output: type[T]) -> T:
    """The answer as an object of the class that was asked for.

    Raises:
        OutputInvalid: it is not JSON of that class; says which fields, and nothing of what the model said.
    """
    try:
        return output.model_validate_json(_bare(answer.text))
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False, include_context=False)
        fields = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'the whole'}: {error['type']}" for error in errors[:5]
        )
        ended = f" It ended with {answer.call.finish_reason}." if answer.call.finish_reason else ""
        message = f"The answer of {answer.call.model} is no {output.__name__} ({fields}).{ended}"
        raise OutputInvalid(message) from None


def _bare(text: str) -> str:
    """JSON without the fence that some servers' models put around it."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n```\s*", text, re.DOTALL)
    return fenced[1] if fenced else text


def _openai(said: list[Message], output: Output, options: dict[str, Any]) -> dict[str, Any]:
    body = {"messages": said} | _renamed(options, {"max_tokens": "max_completion_tokens"})
    if output is not None:
        import openai

        # The schema as `chat.completions.parse` sends it: what the strict mode wants is the package's to know.
        schema = openai.pydantic_function_tool(output)["function"]["parameters"]
        form = {"name": output.__name__, "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def _anthropic(said: list[Message], output: Output, options: dict[str, Any]) -> dict[str, Any]:
    system, turns = _apart(said)
    body: dict[str, Any] = {"max_tokens": LONGEST_ANSWER, "messages": turns}
    if system:
        body["system"] = system
    body |= _renamed(options, {"stop": "stop_sequences"})
    if output is not None:
        try:
            from anthropic import transform_schema
        except ModuleNotFoundError as missing:
            raise missing_package("anthropic") from missing
        form = {"type": "json_schema", "schema": transform_schema(output)}
        body["output_config"] = {**body.get("output_config", {}), "format": form}
    if isinstance(body.get("stop_sequences"), str):
        body["stop_sequences"] = [body["stop_sequences"]]
    return body


_GEMINI_NAMES = {"max_tokens": "maxOutputTokens", "top_p": "topP", "stop": "stopSequences"}
_GEMINI_BESIDE = ("cachedContent", "safetySettings", "stream", "toolConfig", "tools")
"""What stands beside `generationConfig`; all else is in it."""


def _gemini(said: list[Message], output: Output, options: dict[str, Any]) -> dict[str, Any]:
    system, turns = _apart(said)
    roles = {"assistant": "model"}
    contents = [{"role": roles.get(turn["role"], turn["role"]), "parts": [{"text": turn["content"]}]} for turn in turns]
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    body |= {name: options.pop(name) for name in _GEMINI_BESIDE if name in options}
    config = _renamed(options, _GEMINI_NAMES)
    if isinstance(config.get("stopSequences"), str):
        config["stopSequences"] = [config["stopSequences"]]
    if output is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": output.model_json_schema()}
    return body | ({"generationConfig": config} if config else {})


def _parts(content: Any) -> Any:
    return [{"text": content}] if isinstance(content, str) else content


def _apart(said: Sequence[Message]) -> tuple[str, list[Message]]:
    """What the system says, and what the others do."""
    system = "\n\n".join(message["content"] for message in said if message["role"] == "system")
    return system, [message for message in said if message["role"] != "system"]


def _renamed(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in options.items() if value is not None}


_BODIES: dict[str, Callable[[list[Message], Output, dict[str, Any]], dict[str, Any]]] = {
    "openai": _openai,
    "azure": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
