/** Seconds as people say them: 0.8 s, 42 s, 3 min, 2 h 5 min. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A whole number with its thousands apart: 30,001. */
export function formatCount(value: number): string {
  return value.toLocaleString("en");
}
