// What an invocation of group norm's backward kernels works on: a column of a chunk of positions.
//
// A column is a channel, or four adjacent ones: a kernel's x and dy say which. x [B, S, C1] is one input of those that were
// normalised together, dy [B, S, C]; this input's channels start at column first_column of dy.
override SILU: bool = false;

struct Params {
  count: u32,
  positions: u32,
  chunk: u32,
  chunks: u32,
  columns: u32,
  all_columns: u32,
  first_column: u32,
  groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// `slot` is the chunk, counted over all batch items; rows from `first` to before `end` count so too.
struct Piece {
  slot: u32,
  batch: u32,
  first: u32,
  end: u32,
  column: u32,
  out_column: u32,
}

fn piece_of(index: u32) -> Piece {
  let column = index % params.columns;
  let slot = index / params.columns;
  let batch = slot / params.chunks;
  let start = slot % params.chunks * params.chunk;
  let first = batch * params.positions + start;
  return Piece(slot, batch, first, first + min(params.chunk, params.positions - start), column, params.first_column + column);
}
