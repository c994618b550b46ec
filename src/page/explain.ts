import { DeviceLostError, InputError, NoAdapterError, OutOfMemoryError } from "../errors.ts";

/** An error in a sentence that a visitor understands; undefined where the visitor stopped the work. */
export function explain(error: unknown): string | undefined {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError") return undefined;
  if (error instanceof NoAdapterError) return noAdapter();
  if (error instanceof DeviceLostError) return `The graphics device was lost (${error.message}).`;
  if (error instanceof OutOfMemoryError) return `The graphics device has too little memory for this model: ${error.message}.`;
  if (error instanceof InputError) return sentence(error.message);
  return `Something unexpected failed: ${error.message}`;
}

function noAdapter(): string {
  if (!globalThis.isSecureContext) return "WebGPU works on secure pages only: open this page over https, or from localhost.";
  if (!navigator.gpu) return "This browser has no WebGPU. Use a current Chrome, Edge, Safari or Firefox.";
  return "This browser found no graphics device that it may use for computing. Update the graphics driver, or allow hardware acceleration in the browser's settings.";
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
