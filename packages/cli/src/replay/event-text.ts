/**
 * The text that a person saw when an event of a model's stream arrived; undefined: this is no event that is known. Shapes:
 * OpenAI chat completions, completions and responses (https://platform.openai.com/docs/api-reference), Ollama's chat and
 * generate (https://github.com/ollama/ollama/blob/main/docs/api.md).
 */
export function eventText(event: unknown): string | undefined {
  if (!isObject(event)) return undefined;
  if (Array.isArray(event.choices)) return event.choices.map(choiceText).join("");
  const { type, delta, response, message, done } = event;
  if (typeof type === "string" && type.startsWith("response.")) {
    return /\.(output_text|refusal|function_call_arguments)\.delta$/.test(type) && typeof delta === "string"
      ? delta
      : "";
  }
  if (typeof done === "boolean" && typeof response === "string") return response;
  if (typeof done === "boolean" && isObject(message)) return textOf(message.content);
  return undefined;
}

function choiceText(choice: unknown): string {
  if (!isObject(choice)) return "";
  const { delta, text } = choice;
  if (typeof text === "string") return text;
  if (!isObject(delta)) return "";
  const calls = Array.isArray(delta.tool_calls) ? delta.tool_calls.map(toolText).join("") : "";
  return textOf(delta.content) + textOf(delta.refusal) + calls;
}

function toolText(call: unknown): string {
  if (!isObject(call) || !isObject(call.function)) return "";
  const name = textOf(call.function.name);
  return (name === "" ? "" : `${name} `) + textOf(call.function.arguments);
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
