import { type Html, html } from "../report/html.ts";
import { familyOf } from "./families.ts";
import type { CallMeasures, SavedProfile } from "./saved_profile.ts";
import { formatMs, formatPercent } from "./units.ts";

/** A scope, or a kernel under one, with its place: x and width in parts of all time. */
interface Frame {
  name: string;
  ms: number;
  calls: number;
  kernel: boolean;
  children: Frame[];
}

const width = 1200;
const rowHeight = 19;
/** Frames narrower than this, in pixels, are left out. */
const narrowest = 0.4;
const letterWidth = 6.3;

/**
 * Time by scope, the outermost on top, scopes in the order in which they ran; the lowest frames are kernels. Frames carry
 * their place in data-x, data-w and data-depth, by which the page's script enlarges the one that is clicked.
 */
export function flameGraph(profile: SavedProfile): Html {
  const root = frames(profile);
  const drawn: Html[] = [];
  let deepest = 0;
  const draw = (frame: Frame, x: number, depth: number) => {
    const share = frame.ms / root.ms;
    if (share * width < narrowest) return;
    deepest = Math.max(deepest, depth);
    drawn.push(frameSvg(frame, x, share, depth));
    let at = x;
    for (const child of frame.children) {
      draw(child, at, depth + 1);
      at += child.ms / root.ms;
    }
  };
  draw(root, 0, 0);
  const height = (deepest + 1) * rowHeight;
  return html`<svg class="flame" viewBox="0 0 ${width} ${height}" data-width="${width}" role="img" aria-label="time by scope">${drawn}</svg>`;
}

function frameSvg({ name, ms, calls, kernel }: Frame, x: number, share: number, depth: number): Html {
  const [left, across, top] = [x * width, share * width, depth * rowHeight];
  const letters = Math.floor((across - 6) / letterWidth);
  const text = letters >= name.length ? name : letters >= 4 ? `${name.slice(0, letters - 1)}…` : "";
  return html`<g class="${kernel ? familyOf(name) : "scope"}" data-x="${x.toFixed(6)}" data-w="${share.toFixed(6)}" data-depth="${depth}" data-name="${name}"><title>${name}
${formatMs(ms)} ms, ${formatPercent(share)}, ${calls} calls</title><rect x="${left.toFixed(2)}" y="${top}" width="${across.toFixed(2)}" height="${rowHeight - 1}"/><text x="${(left + 4).toFixed(2)}" y="${top + 13}">${text}</text></g>`;
}

function frames({ scopes, calls, total, work }: SavedProfile): Frame {
  const root: Frame = { name: work.what, ms: total.ms, calls: total.calls, kernel: false, children: [] };
  const byPath = new Map<string, Frame>();
  for (const { scope, ms, calls } of scopes) {
    const cut = scope.lastIndexOf("/");
    const parent = cut < 0 ? root : (byPath.get(scope.slice(0, cut)) as Frame);
    const frame: Frame = { name: scope.slice(cut + 1) || "no scope", ms, calls, kernel: false, children: [] };
    parent.children.push(frame);
    byPath.set(scope, frame);
  }
  for (const call of calls) addKernel(byPath.get(call.scope) as Frame, call);
  return root;
}

function addKernel(scope: Frame, { kernel, ms, calls }: CallMeasures): void {
  const same = scope.children.find((child) => child.kernel && child.name === kernel);
  if (!same) {
    scope.children.push({ name: kernel, ms, calls, kernel: true, children: [] });
    return;
  }
  same.ms += ms;
  same.calls += calls;
}
