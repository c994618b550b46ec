import type { MemoryEvent, MemoryTimeline } from "../gpu/profile.ts";

/** Live bytes of one group of scopes at each time of the curve. */
export interface MemorySeries {
  name: string;
  bytes: number[];
}

/** Memory over time by scope. */
export interface MemoryCurve {
  /** Milliseconds since the profile began, ascending; values hold until the next. */
  ms: number[];
  /** What is held most and longest first; the small ones are put together at the end. */
  scopes: MemorySeries[];
  /** Most live bytes, and when. */
  peak: { bytes: number; ms: number };
}

const slots = 240;
const levels = 2;
const most = 9;
const others = "other scopes";

/** The first components of a scope's path; what was made outside every scope has a name too. */
export function scopeGroup(scope: string): string {
  return scope === "" ? "no scope" : scope.split("/").slice(0, levels).join("/");
}

/** A timeline at no more than 240 times, each that of the greatest sum in its part of the profile; by groups of scopes. */
export function memoryCurve(timeline: MemoryTimeline, wallMs: number): MemoryCurve {
  const live = new Map<string, number>();
  for (const [scope, bytes] of Object.entries(timeline.start.byScope)) addTo(live, scope, bytes);
  const moments = [momentOf(0, live)];
  let peak = moments[0];
  for (const slot of inSlots(timeline.events, wallMs)) {
    let greatest: Moment | undefined;
    for (const { ms, scope, bytes } of slot) {
      addTo(live, scope, bytes);
      if (!greatest || totalOf(live) >= greatest.total) greatest = momentOf(ms, live);
    }
    const last = slot[slot.length - 1];
    if (greatest) moments.push(greatest);
    if (greatest && greatest.ms < last.ms) moments.push(momentOf(last.ms, live));
    if (greatest && greatest.total > peak.total) peak = greatest;
  }
  return { ms: moments.map(({ ms }) => ms), scopes: seriesOf(moments), peak: { bytes: peak.total, ms: peak.ms } };
}

interface Moment {
  ms: number;
  byGroup: Map<string, number>;
  total: number;
}

function momentOf(ms: number, live: ReadonlyMap<string, number>): Moment {
  return { ms, byGroup: new Map(live), total: totalOf(live) };
}

function totalOf(live: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const bytes of live.values()) total += bytes;
  return total;
}

function addTo(live: Map<string, number>, scope: string, bytes: number): void {
  const group = scopeGroup(scope);
  live.set(group, (live.get(group) ?? 0) + bytes);
}

function inSlots(events: readonly MemoryEvent[], wallMs: number): MemoryEvent[][] {
  const parts = new Map<number, MemoryEvent[]>();
  for (const event of events) {
    if (event.scope === "" && event.bytes === 0) continue; // the pool was emptied: nobody's bytes changed
    const slot = Math.floor((slots * event.ms) / wallMs);
    const part = parts.get(slot);
    if (part) part.push(event);
    else parts.set(slot, [event]);
  }
  return [...parts.values()];
}

function seriesOf(moments: readonly Moment[]): MemorySeries[] {
  const names = [...new Set(moments.flatMap(({ byGroup }) => [...byGroup.keys()]))];
  const all = names.map((name) => ({ name, bytes: moments.map(({ byGroup }) => byGroup.get(name) ?? 0) }));
  const held = new Map(all.map((series) => [series, series.bytes.reduce((sum, bytes) => sum + bytes, 0)]));
  const heldBy = (series: MemorySeries) => held.get(series) ?? 0;
  const sorted = all.filter((series) => heldBy(series) > 0).sort((a, b) => heldBy(b) - heldBy(a));
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most - 1);
  return [...sorted.slice(0, most - 1), { name: others, bytes: moments.map((_, i) => rest.reduce((sum, { bytes }) => sum + bytes[i], 0)) }];
}
