import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Box } from "../data/preprocess.ts";
import { NoAdapterError } from "../errors.ts";
import { isOfItsKind } from "../models/model_card.ts";
import type { SentSource } from "../worker/methods.ts";
import { BoxFields } from "./box_fields.tsx";
import { Controls } from "./controls.tsx";
import { type Engine, type LoadingWatch, modelFiles, openEngine, readExtras, theWorker } from "./engine.ts";
import { type EngineState, createEngineKeeper } from "./engine_keeper.ts";
import { explain } from "./explain.ts";
import { type SampleFilm, type ShownFilm, readFilm, readSample } from "./film.ts";
import { FilmPicker } from "./film_picker.tsx";
import { Panel } from "./panel.tsx";
import { ProfileTab } from "./profile_tab.tsx";
import { openServerEngine } from "./server_engine.ts";
import { type PageSettings, startSettings } from "./settings.ts";
import { EngineStatus } from "./status.tsx";

const shippedModel = "model";

/** The page. */
export function App() {
  const { state, engine, samples, keeper } = useEngine();
  const onDeviceLost = (reason: string) => keeper.reopen(`${reason} It was opened again, and the map is computed anew.`);
  const [film, setFilm] = useState<ShownFilm>();
  const [filmError, setFilmError] = useState<string>();
  const [phrases, setPhrases] = useState(["", ""]);
  const [compare, setCompare] = useState(false);
  const [box, setBox] = useState<Box>();
  const [settings, setSettings] = useState(startSettings);
  const [tab, setTab] = useState<"maps" | "profile">("maps");
  const onServer = engine !== undefined && !engine.gpu;
  useLayoutEffect(() => { if (onServer) setSettings(startSettings); }, [onServer]); // not all that could be chosen before is there
  const change = (some: Partial<PageSettings>) => setSettings((old) => ({ ...old, ...some }));
  const submit = (i: number, phrase: string) => setPhrases((old) => old.map((other, j) => (i === j ? phrase : other)));

  const lastReading = useRef<Promise<ShownFilm>>(null);
  const take = async (reading: Promise<ShownFilm>) => {
    lastReading.current = reading;
    setFilmError(undefined);
    try {
      const read = await reading;
      if (reading !== lastReading.current) return; // another film was chosen meanwhile
      setFilm(read);
      setBox(read.box);
      if (read.phrase !== undefined) submit(0, read.phrase);
    } catch (error) {
      if (reading === lastReading.current) setFilmError(explain(error));
    }
  };

  return (
    <>
      <header>
        <h1>attnscope</h1>
        <p class="quiet">Where in this radiograph is what this phrase says? {onServer ? "Computed by the server that sent this page." : "Computed in this browser: nothing leaves the machine."} Not a medical device.</p>
        <EngineStatus state={state} onFolder={(files) => keeper.open(() => modelFiles(files))} onRetry={keeper.reopen} />
        {film && engine?.synthetic && !isOfItsKind(film.film, engine.synthetic) && <p class="banner" role="note">{engine.synthetic.note[0].toUpperCase() + engine.synthetic.note.slice(1)}.</p>}
      </header>
      <main>
        <div class="side">
          <FilmPicker samples={samples} onServer={onServer} onFile={(file) => take(readFilm(theWorker(), file))} onSample={(sample) => take(readSample(theWorker(), sample))} />
          {filmError && <p class="error" role="alert">{filmError}</p>}
          <Controls settings={settings} layers={engine?.pipeline.model?.layers ?? []} onServer={onServer} onChange={change} />
          {film && <BoxFields box={box} film={film.film} onChange={setBox} />}
        </div>
        <div class="work">
          <nav role="tablist" aria-label="Views">
            {(["maps", "profile"] as const).map((name) => <button type="button" role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls={`view-${name}`} onClick={() => setTab(name)}>{name === "maps" ? "Maps" : "Profile"}</button>)}
            <label class="check"><input type="checkbox" checked={compare} onChange={(event) => setCompare(event.currentTarget.checked)} /> compare two phrases</label>
          </nav>
          <div role="tabpanel" id="view-maps" aria-labelledby="tab-maps" hidden={tab !== "maps"} class={compare ? "panels two" : "panels"}>
            {phrases.slice(0, compare ? 2 : 1).map((phrase, i) => (
              <Panel key={i} name={compare ? `Phrase ${i + 1}` : "Phrase"} engine={engine} film={film} settings={settings} phrase={phrase} onPhrase={(text) => submit(i, text)} box={box} onBox={setBox} onDeviceLost={onDeviceLost} />
            ))}
            {!film && <p class="quiet">Choose a film to begin.</p>}
          </div>
          <div role="tabpanel" id="view-profile" aria-labelledby="tab-profile" hidden={tab !== "profile"}>
            <ProfileTab key={engine?.gpu?.handle} engine={engine} film={film} phrase={phrases[0]} settings={settings} />
          </div>
        </div>
      </main>
    </>
  );
}

/** A model on the browser's device; where it has none, the server's own model on the server's, if it computes. */
async function openAnyEngine(source: SentSource, watch: LoadingWatch): Promise<Engine> {
  try {
    return await openEngine(theWorker(), source, watch);
  } catch (error) {
    const server = error instanceof NoAdapterError && source === shippedModel ? await openServerEngine() : undefined;
    if (!server) throw error;
    watch.onNote(explain(error) ?? "");
    return { ...server, ...(await readExtras(source, watch.onNote)) };
  }
}

/** The device and the model, from the page's beginning on. */
function useEngine() {
  const [state, setState] = useState<EngineState>({ kind: "loading" });
  const [keeper] = useState(() => createEngineKeeper(shippedModel, openAnyEngine, setState));
  const [samples, setSamples] = useState<SampleFilm[]>([]);
  const engine = state.kind === "ready" ? state.engine : undefined;
  useEffect(() => void keeper.reopen(), []);
  // A model of the visitor's own brings none: the films stay that were there.
  useEffect(() => { if (engine?.samples) setSamples(engine.samples); }, [engine]);
  return { state, engine, samples, keeper };
}
