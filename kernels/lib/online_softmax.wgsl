// Finite stand-ins for minus infinity: drivers turn inf - inf into NaN, or fold the tests for it away.

// Score of a key that a mask excludes, and where running maxima start. A row whose every key is masked attends
// uniformly to all of them, as with the finfo.min masks of transformers; one unmasked key is enough to wipe them out.
const MASKED = -3.0e38;

// Score of a key past the last one: its weight is 0 even beside masked keys alone.
const OUTSIDE = -3.4e38;
