import { useState } from "preact/hooks";
import type { SampleFilm } from "./film.ts";

interface FilmPickerProps {
  samples: readonly SampleFilm[];
  /** The server computes, and gets the film. */
  onServer: boolean;
  onFile(file: File): void;
  onSample(sample: SampleFilm): void;
}

/** Takes a film: dropped, chosen, pasted from the samples. */
export function FilmPicker({ samples, onServer, onFile, onSample }: FilmPickerProps) {
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file) onFile(file);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  const drag = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  return (
    <section class="films" aria-label="Film">
      <label class={`drop${over ? " over" : ""}`} onDrop={drop} onDragOver={drag} onDragLeave={() => setOver(false)}>
        <input type="file" accept=".png,.jpg,.jpeg,.dcm,image/png,image/jpeg,application/dicom" onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ""; }} />
        <span>Drop a PNG, JPEG or DICOM file here, or choose one</span>
        <span class="quiet">{onServer ? "Its pixels are sent to the server that sent this page." : "It stays in this browser."}</span>
      </label>
      {samples.length > 0 && (
        <details open>
          <summary>Synthetic films</summary>
          <ul class="samples">
            {samples.map((sample) => (
              <li><button type="button" title={sample.phrase} onClick={() => onSample(sample)}><img src={sample.url} alt="" width={64} height={64} loading="lazy" /><span>{sample.label}</span></button></li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
