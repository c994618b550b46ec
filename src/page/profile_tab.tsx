import { useState } from "preact/hooks";
import { chromeTrace } from "../profile/chrome_trace.ts";
import type { Profile } from "../gpu/profile.ts";
import type { Engine } from "./engine.ts";
import { explain } from "./explain.ts";
import { save } from "./exports.tsx";
import type { ShownFilm } from "./film.ts";
import { type PageSettings, exploreOptions } from "./settings.ts";

interface ProfileTabProps {
  engine?: Engine;
  film?: ShownFilm;
  phrase: string;
  settings: PageSettings;
}

/** Times of the kernels of one grounding. */
export function ProfileTab({ engine, film, phrase, settings }: ProfileTabProps) {
  const [profile, setProfile] = useState<Profile>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const isReady = engine?.pipeline.profile !== undefined && film !== undefined && phrase !== "";
  const measure = async () => {
    if (!engine?.pipeline.profile || !film) return;
    setBusy(true);
    setError(undefined);
    try {
      setProfile(await engine.pipeline.profile(film.film, phrase, exploreOptions(settings)));
    } catch (failure) {
      setError(explain(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="profile" aria-label="Profile">
      <p>
        <button type="button" disabled={!isReady || busy} onClick={measure}>{busy ? "Measuring…" : "Measure one grounding"}</button>{" "}
        {profile && <button type="button" onClick={() => save("attnscope-trace.json", new Blob([chromeTrace(profile)], { type: "application/json" }))}>Save trace</button>}{" "}
        {!isReady && <span class="quiet">{engine && !engine.gpu ? "The server computes, which takes no times here: type attnscope profile there." : "Choose a film and a phrase first."}</span>}
      </p>
      {error && <p class="error" role="alert">{error}</p>}
      {profile?.note && <p class="quiet">{profile.note}</p>}
      {profile && <KernelTable profile={profile} />}
    </section>
  );
}

interface KernelTimes {
  kernel: string;
  calls: number;
  ms: number;
  flops: number;
  bytes: number;
}

function KernelTable({ profile }: { profile: Profile }) {
  const kernels = kernelTimes(profile);
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const rate = (amount: number, ms: number) => (ms > 0 ? (amount / ms / 1e6).toFixed(1) : "–");
  return (
    <div class="scroll">
      <table>
        <caption>{total > 0 ? `${total.toFixed(1)} ms on the device` : "This device gives no times"}, {profile.rows.length} dispatches</caption>
        <thead><tr>{["kernel", "calls", "ms", "share", "GFLOP/s", "GB/s"].map((head) => <th scope="col">{head}</th>)}</tr></thead>
        <tbody>
          {kernels.map(({ kernel, calls, ms, flops, bytes }) => (
            <tr><th scope="row">{kernel}</th><td>{calls}</td><td>{ms.toFixed(2)}</td><td>{total > 0 ? `${((100 * ms) / total).toFixed(1)} %` : "–"}</td><td>{rate(flops, ms)}</td><td>{rate(bytes, ms)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Sums by kernel, the slowest first. */
function kernelTimes({ rows }: Profile): KernelTimes[] {
  const byKernel = new Map<string, KernelTimes>();
  for (const { kernel, ms, flops, bytes } of rows) {
    const sum = byKernel.get(kernel) ?? { kernel, calls: 0, ms: 0, flops: 0, bytes: 0 };
    byKernel.set(kernel, { kernel, calls: sum.calls + 1, ms: sum.ms + ms, flops: sum.flops + flops, bytes: sum.bytes + bytes });
  }
  return [...byKernel.values()].sort((a, b) => b.ms - a.ms);
}
