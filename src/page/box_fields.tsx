import type { Box } from "../data/preprocess.ts";

interface BoxFieldsProps {
  box?: Box;
  film: { width: number; height: number };
  onChange(box: Box | undefined): void;
}

const sides = ["left", "top", "width", "height"] as const;

/** The box as numbers: for those who do not drag. */
export function BoxFields({ box, film, onChange }: BoxFieldsProps) {
  const current = box ?? [Math.round(film.width / 4), Math.round(film.height / 4), Math.round(film.width / 4), Math.round(film.height / 4)];
  const most = [film.width, film.height, film.width, film.height];
  const change = (side: number, value: number) => {
    if (Number.isFinite(value) && value >= 0 && value <= most[side]) onChange(current.map((old, i) => (i === side ? value : old)) as unknown as Box);
  };
  return (
    <fieldset class="box">
      <legend>Box <span class="quiet">(drag over the film, or type)</span></legend>
      {sides.map((name, i) => <label><span>{name}</span><input type="number" min={0} max={most[i]} value={box ? box[i] : ""} onInput={(event) => change(i, event.currentTarget.valueAsNumber)} /></label>)}
      <button type="button" disabled={!box} onClick={() => onChange(undefined)}>Remove</button>
    </fieldset>
  );
}
