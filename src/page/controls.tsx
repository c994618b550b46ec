import { type PageSettings, lastStepsOf } from "./settings.ts";

interface ControlsProps {
  settings: PageSettings;
  /** Names of the model's cross-attention layers. */
  layers: readonly string[];
  /** The server computes, and keeps nothing that other maps could be made of at once. */
  onServer: boolean;
  onChange(change: Partial<PageSettings>): void;
}

/** Sliders and choices; what costs evaluations of the model stands apart. */
export function Controls({ settings, layers, onServer, onChange }: ControlsProps) {
  return (
    <form class="controls" aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
      <fieldset>
        <legend>At once</legend>
        {!onServer && <MapChoices settings={settings} onChange={onChange} />}
        <AutoSlider name="Mask threshold" value={settings.threshold} auto="between the two Gaussians" start={0.5} onChange={(threshold) => onChange({ threshold })} />
        <Slider name="Strength of the colours" value={settings.alpha} min={0} max={1} step={0.05} onChange={(alpha) => onChange({ alpha })} />
        {!onServer && <Choice name="Show" value={settings.view} values={["map", "error"]} labels={["the map", "its standard error"]} onChange={(view) => onChange({ view })} />}
        <label class="check"><input type="checkbox" checked={settings.showMask} onChange={(event) => onChange({ showMask: event.currentTarget.checked })} /> outline of the mask</label>
        {!onServer && <Layers layers={layers} chosen={settings.layers} onChange={(chosen) => onChange({ layers: chosen })} />}
      </fieldset>
      <fieldset>
        <legend>Computes anew</legend>
        <NumberField name="Timesteps" value={settings.steps} min={2} max={200} onChange={(steps) => onChange({ steps, lastSteps: lastStepsOf(steps) })} />
        <NumberField name="Seed" value={settings.seed} min={0} max={2 ** 31} onChange={(seed) => onChange({ seed })} />
        <Choice name="Mode" value={settings.mode} values={["gt", "gt1", "cfg", "text"]} labels={["gt: the film at every noise level", "gt1: from the noised film", "cfg: from noise, guided", "text: from noise"]} onChange={(mode) => onChange({ mode })} />
        <Choice name="Words" value={settings.tokens} values={["lexical", "all"]} labels={["nouns and adjectives", "all"]} onChange={(tokens) => onChange({ tokens })} />
      </fieldset>
    </form>
  );
}

/** What makes another map of what was captured. */
function MapChoices({ settings: { lastSteps, steps, merge, s }, onChange }: Pick<ControlsProps, "settings" | "onChange">) {
  return (
    <>
      <Slider name="Last timesteps" value={Math.min(lastSteps, steps)} min={1} max={steps} step={1} onChange={(value) => onChange({ lastSteps: value })} />
      <Choice name="Merge" value={merge} values={["mixture", "linear", "quadratic", "none"]} onChange={(kind) => onChange({ merge: kind })} />
      <AutoSlider name="Merge s" value={s} auto="similarity of the biases" start={0.5} onChange={(value) => onChange({ s: value })} disabled={merge === "none"} />
    </>
  );
}

interface SliderProps {
  name: string;
  value: number;
  /** Shown in place of the value. */
  text?: string;
  min: number;
  max: number;
  step: number;
  disabled?: boolean;
  onChange(value: number): void;
}

function Slider({ name, value, text = Number.isInteger(value) ? String(value) : value.toFixed(2), onChange, ...range }: SliderProps) {
  return (
    <label class="slider">
      <span>{name}</span>
      <span class="value" aria-hidden="true">{text}</span>
      <input type="range" value={value} {...range} onInput={(event) => onChange(event.currentTarget.valueAsNumber)} />
    </label>
  );
}

interface AutoSliderProps {
  name: string;
  value: number | undefined;
  /** What the value is while it is not set. */
  auto: string;
  /** Where the slider starts. */
  start: number;
  disabled?: boolean;
  onChange(value: number | undefined): void;
}

/** A slider in [0, 1] that can be left to the method. */
function AutoSlider({ name, value, auto, start, disabled, onChange }: AutoSliderProps) {
  return (
    <div class="auto">
      <Slider name={name} value={value ?? start} text={value === undefined ? "auto" : undefined} min={0} max={1} step={0.01} disabled={disabled || value === undefined} onChange={onChange} />
      <label class="check"><input type="checkbox" checked={value === undefined} disabled={disabled} onChange={(event) => onChange(event.currentTarget.checked ? undefined : start)} /> {auto}</label>
    </div>
  );
}

interface ChoiceProps<V extends string> {
  name: string;
  value: V;
  values: readonly V[];
  labels?: readonly string[];
  onChange(value: V): void;
}

function Choice<V extends string>({ name, value, values, labels = values, onChange }: ChoiceProps<V>) {
  return (
    <label class="choice">
      <span>{name}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as V)}>
        {values.map((one, i) => <option value={one}>{labels[i]}</option>)}
      </select>
    </label>
  );
}

function NumberField({ name, value, min, max, onChange }: Omit<SliderProps, "step">) {
  const change = (given: number) => {
    if (Number.isInteger(given) && given >= min && given <= max) onChange(given);
  };
  return (
    <label class="choice">
      <span>{name}</span>
      <input type="number" value={value} min={min} max={max} step={1} onChange={(event) => change(event.currentTarget.valueAsNumber)} />
    </label>
  );
}

interface LayersProps {
  layers: readonly string[];
  chosen: PageSettings["layers"];
  onChange(chosen: PageSettings["layers"]): void;
}

function Layers({ layers, chosen, onChange }: LayersProps) {
  const isOn = (layer: number) => chosen === "all" || chosen.includes(layer);
  const toggle = (layer: number) => {
    const on = layers.map((_, i) => i).filter((i) => (i === layer ? !isOn(i) : isOn(i)));
    if (on.length > 0) onChange(on.length === layers.length ? "all" : on);
  };
  return (
    <details>
      <summary>Layers: {chosen === "all" ? `all ${layers.length}` : `${chosen.length} of ${layers.length}`}</summary>
      <div class="layers">
        {layers.map((name, i) => <label class="check" title={name}><input type="checkbox" checked={isOn(i)} onChange={() => toggle(i)} /> {i}: {shortName(name)}</label>)}
      </div>
    </details>
  );
}

/** `down_blocks.1.attentions.0.transformer_blocks.0.attn2` as `down 1, 0`. */
function shortName(name: string): string {
  const [, block, index, attention] = /^(down|mid|up)_blocks?(?:\.(\d+))?\.attentions\.(\d+)/.exec(name) ?? [];
  return block ? [`${block}${index === undefined ? "" : ` ${index}`}`, attention].join(", ") : name;
}
