import type { Loading } from "./engine.ts";
import type { EngineState } from "./engine_keeper.ts";

interface EngineStatusProps {
  state: EngineState;
  /** The visitor chose the files of another model. */
  onFolder(files: FileList): void;
  onRetry(): void;
}

/** The line that says what computes, with what, or why not. */
export function EngineStatus({ state, onFolder, onRetry }: EngineStatusProps) {
  return (
    <div class="status">
      <p role="status" class={state.kind === "failed" ? "error" : ""}>{describe(state)}</p>
      {state.kind === "loading" && state.loading && <progress max={state.loading.total} value={state.loading.bytes} aria-label="loading the model" />}
      {(state.kind === "failed" || (state.kind === "ready" && !state.engine.gpu)) && <button type="button" onClick={() => onRetry()}>Try again</button>}
      <label class="button">
        Use a model of your own
        <input type="file" {...{ webkitdirectory: true }} onChange={(event) => { if (event.currentTarget.files?.length) onFolder(event.currentTarget.files); }} />
      </label>
    </div>
  );
}

function describe(state: EngineState): string {
  if (state.kind === "failed") return state.message;
  const note = state.note ? `${state.note} ` : "";
  if (state.kind === "loading") return `${note}${state.loading ? loadingText(state.loading) : "Looking for a graphics device…"}`;
  if (!state.engine.gpu) return `${note}The server that sent this page computes instead, and gets every film and phrase.`;
  const { adapter } = state.engine.gpu;
  const name = adapter.description || adapter.device || [adapter.vendor, adapter.architecture].filter(Boolean).join(" ") || "this device";
  const slow = adapter.software ? " It computes on the processor, which is many times slower than a graphics card." : "";
  return `${note}Ready on ${name}.${slow}`;
}

function loadingText({ part, bytes, total, bytesPerSecond }: Loading): string {
  const left = (total - bytes) / bytesPerSecond;
  const time = Number.isFinite(left) && left >= 1 ? `, ${Math.ceil(left)} s left` : "";
  return `Loading ${part.replace("_", " ")}: ${mb(bytes)} of ${mb(total)}${time}`;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
