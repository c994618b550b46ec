import { useMemo, useState } from "preact/hooks";
import type { Box } from "../data/preprocess.ts";
import type { Engine } from "./engine.ts";
import type { PanelState } from "./exploration_run.ts";
import { PanelExports } from "./exports.tsx";
import type { ShownFilm } from "./film.ts";
import { MapView } from "./map_view.tsx";
import { type Reading, readMap } from "./reading.ts";
import type { PageSettings } from "./settings.ts";
import { useExploration } from "./use_exploration.ts";

interface PanelProps {
  name: string;
  engine?: Engine;
  film?: ShownFilm;
  settings: PageSettings;
  /** The phrase that was submitted. */
  phrase: string;
  onPhrase(phrase: string): void;
  box?: Box;
  onBox(box: Box): void;
  onDeviceLost(reason: string): void;
}

/** One phrase: its field, its map, its words, and what is read off the map. */
export function Panel({ name, engine, film, settings, phrase, onPhrase, box, onBox, onDeviceLost }: PanelProps) {
  const state = useExploration({ engine, film, phrase, settings, onDeviceLost });
  const [word, setWord] = useState<number>();
  const { partial, exploration, explored } = state;
  const side = exploration?.side ?? Math.sqrt(partial?.map.length ?? 256);
  const imageSize = exploration?.imageSize ?? engine?.pipeline.model?.imageSize ?? 512;
  const best = explored ?? partial;
  const shownMap = (word !== undefined && explored?.words[word]) || (settings.view === "error" && best ? stretched(best.standardError) : best?.map);
  const reading = useMemo(
    () => (explored && film ? readMap({ map: explored.map, side, film: film.film, imageSize, threshold: settings.threshold, box }) : undefined),
    [explored, film, side, imageSize, settings.threshold, box],
  );
  return (
    <section class="panel" aria-label={name}>
      <PhraseForm phrase={phrase} disabled={!engine || !film} busy={state.progress !== undefined} onPhrase={onPhrase} onStop={state.stop} name={name} />
      {film && <MapView film={film} imageSize={imageSize} map={shownMap || undefined} side={side} mask={settings.showMask && word === undefined ? reading?.mask : undefined} alpha={settings.alpha} label={labelOf(phrase, film, reading)} box={box} onBox={onBox} />}
      {engine && <Progress state={state} onServer={!engine.gpu} />}
      {state.error && <p class="error" role="alert">{state.error}</p>}
      {exploration && <Words exploration={exploration} onWord={setWord} shown={word} />}
      {reading && explored && <Facts reading={reading} explored={explored} state={state} />}
      {reading && explored && exploration && film && engine && <PanelExports {...{ engine, film, settings, reading, explored, exploration, box }} />}
    </section>
  );
}

/** Values as parts of the greatest of them, for drawing. */
function stretched(values: Float32Array): Float32Array | undefined {
  const greatest = values.reduce((a, b) => Math.max(a, b), 0);
  return greatest > 0 ? values.map((value) => value / greatest) : undefined;
}

function labelOf(phrase: string, { film }: ShownFilm, reading?: Reading): string {
  if (!reading) return `the film ${film.name}`;
  return `where “${phrase}” points in ${film.name}: greatest at ${Math.round(reading.peak.x)}, ${Math.round(reading.peak.y)} of ${film.width} by ${film.height} pixels`;
}

interface PhraseFormProps {
  name: string;
  phrase: string;
  disabled: boolean;
  busy: boolean;
  onPhrase(phrase: string): void;
  onStop(): void;
}

function PhraseForm({ name, phrase, disabled, busy, onPhrase, onStop }: PhraseFormProps) {
  const [text, setText] = useState(phrase);
  const [submitted, setSubmitted] = useState(phrase);
  // A phrase that came from elsewhere, such as a sample film's, replaces what is in the field.
  if (submitted !== phrase) {
    setSubmitted(phrase);
    setText(phrase);
  }
  const submit = (event: Event) => {
    event.preventDefault();
    setSubmitted(text.trim());
    onPhrase(text.trim());
  };
  return (
    <form class="phrase" onSubmit={submit}>
      <label>
        <span class="quiet">{name}</span>
        <input type="text" value={text} placeholder="left pleural effusion" autocomplete="off" spellcheck={false} maxLength={1000} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {busy ? <button type="button" onClick={onStop}>Stop</button> : <button type="submit" disabled={disabled || text.trim() === ""}>Find</button>}
    </form>
  );
}

const stages = { encode: "Encoding the film", "main pass": "Watching the attention", "text bias": "Measuring the phrase's own bias" } as const;

function Progress({ state: { progress, partial }, onServer }: { state: PanelState; onServer: boolean }) {
  if (!progress) return null;
  if (onServer) return <div class="progress"><progress aria-label="The server computes" /><span>The server computes.</span></div>;
  const { stage, done, total } = progress;
  return (
    <div class="progress">
      <progress max={total} value={done} aria-label={stages[stage]} />
      <span>{stages[stage]}: {done} of {total}{partial && `; map of ${partial.timesteps} timestep${partial.timesteps === 1 ? "" : "s"}${errorText(partial.standardError)}`}</span>
    </div>
  );
}

/** The mean standard error, where there is one. */
function errorText(standardError: Float32Array): string {
  const mean = standardError.reduce((sum, value) => sum + value, 0) / standardError.length;
  return Number.isFinite(mean) ? `, standard error ${mean.toFixed(3)}` : "";
}

interface WordsProps {
  exploration: NonNullable<PanelState["exploration"]>;
  shown?: number;
  onWord(word: number | undefined): void;
}

/** The words; the map of one is shown while the pointer or the focus is on it. */
function Words({ exploration: { phrase }, shown, onWord }: WordsProps) {
  return (
    <p class="words">
      {phrase.choice.words.map(({ text, kept, why }, i) => (
        <button type="button" class={kept ? "kept" : "left"} title={why} aria-pressed={shown === i} onMouseEnter={() => onWord(i)} onMouseLeave={() => onWord(undefined)} onFocus={() => onWord(i)} onBlur={() => onWord(undefined)}>
          {text}
        </button>
      ))}
      {phrase.choice.note && <span class="quiet">{phrase.choice.note}</span>}
    </p>
  );
}

interface FactsProps {
  reading: Reading;
  explored: NonNullable<PanelState["explored"]>;
  state: PanelState;
}

function Facts({ reading: { peak, regions, threshold, metrics }, explored: { s, ssim, standardError }, state: { seconds } }: FactsProps) {
  const rows: [name: string, value: string, title: string][] = [
    ["peak", `${Math.round(peak.x)}, ${Math.round(peak.y)}`, "where the map is greatest, in pixels of the film"],
    ["regions", String(regions.length), "connected parts of the mask"],
    ["threshold", threshold.toFixed(3), "above it the map is in the mask"],
    ["± error", errorText(standardError).replace(", standard error ", "") || "–", "mean standard error over the map: how far more timesteps may still move it"],
    ...(s === undefined ? [] : [["s", `${s.toFixed(3)}${ssim !== undefined && Math.abs(s - Math.min(Math.max(ssim, 0), 1)) > 1e-6 ? ` (own ${ssim.toFixed(3)})` : ""}`, "similarity of image bias and text bias: how far they are merged"] as [string, string, string]]),
    ...(metrics ? metricRows(metrics) : []),
    ...(seconds === undefined ? [] : [["time", `${seconds.toFixed(1)} s`, "from phrase to map"] as [string, string, string]]),
  ];
  return <dl class="facts" aria-live="polite">{rows.map(([head, value, title]) => <div title={title}><dt>{head}</dt><dd>{value}</dd></div>)}</dl>;
}

function metricRows({ cnr, iou, aucRoc, top1 }: NonNullable<Reading["metrics"]>): [string, string, string][] {
  return [
    ["CNR", cnr.toFixed(3), "contrast to noise, inside the box against outside"],
    ["IoU", iou.toFixed(3), "intersection over union of mask and box"],
    ["AUC", aucRoc.toFixed(3), "area under the receiver operating characteristic over pixels"],
    ["peak in box", top1 === 1 ? "yes" : "no", "whether the map's peak lies in the box"],
  ];
}
