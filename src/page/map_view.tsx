import { useEffect, useRef, useState } from "preact/hooks";
import type { Box } from "../data/preprocess.ts";
import { planPreprocess } from "../data/preprocess.ts";
import { overlay } from "../data/render.ts";
import type { ShownFilm } from "./film.ts";

/** What is drawn. */
interface MapViewInputs {
  film: ShownFilm;
  /** Side of the model's image in pixels. */
  imageSize: number;
  /** [side * side] in [0, 1]; absent: the film alone. */
  map?: Float32Array;
  side: number;
  /** Outlined, where given. */
  mask?: Uint8Array;
  alpha: number;
  /** What the picture shows, for those who do not see it. */
  label: string;
  /** In pixels of the film. */
  box?: Box;
  onBox(box: Box): void;
}

/** The film with the map over it; a box is drawn by dragging. */
export function MapView({ film, imageSize, map, side, mask, alpha, label, box, onBox }: MapViewInputs) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [dragged, setDragged] = useState<Box>();
  const { width, height } = film.film;

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const { shown } = film;
    const empty = new Float32Array(side * side);
    // The model sees the film, not what is drawn of it: where it looks is planned with the film's own size.
    const plan = { ...planPreprocess(width, height, imageSize), width: shown.width, height: shown.height };
    const picture = overlay(shown, map ?? empty, side, plan, { alpha: map ? alpha : 0, outline: map && mask });
    context.putImageData(new ImageData(picture.data, picture.width, picture.height), 0, 0);
  }, [film, imageSize, map, side, mask, alpha]);

  const pointAt = (event: PointerEvent) => {
    const place = (event.currentTarget as Element).getBoundingClientRect();
    const along = (at: number, start: number, length: number, pixels: number) => Math.round((Math.min(Math.max((at - start) / length, 0), 1)) * pixels);
    return [along(event.clientX, place.left, place.width, width), along(event.clientY, place.top, place.height, height)] as const;
  };
  const start = useRef<readonly [number, number] | undefined>(undefined);
  const onPointerDown = (event: PointerEvent) => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    start.current = pointAt(event);
  };
  const onPointerMove = (event: PointerEvent) => {
    if (start.current) setDragged(boxBetween(start.current, pointAt(event)));
  };
  const onPointerUp = (event: PointerEvent) => {
    if (!start.current) return;
    const drawn = boxBetween(start.current, pointAt(event));
    start.current = undefined;
    setDragged(undefined);
    if (drawn[2] > 1 && drawn[3] > 1) onBox(drawn);
  };
  const shownBox = dragged ?? box;
  return (
    <div class="picture">
      <canvas ref={canvas} width={film.shown.width} height={film.shown.height} role="img" aria-label={label} />
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true" onPointerDown={onPointerDown} onPointerMove={onPointerMove} onPointerUp={onPointerUp}>
        {shownBox && ["halo", "line"].map((kind) => <rect class={kind} x={shownBox[0]} y={shownBox[1]} width={shownBox[2]} height={shownBox[3]} vector-effect="non-scaling-stroke" />)}
      </svg>
    </div>
  );
}

function boxBetween([x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): Box {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
}
