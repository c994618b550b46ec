// Scores of an attention, for kernels with the bindings q, k, key_mask and context_of, the params batch, heads,
// queries, keys, head_size and context_step, and the overrides CAUSAL, HAS_KEY_MASK and HAS_CONTEXT_OF.

// Which keys and values an item reads.
fn context_index(item: u32) -> u32 {
  if (HAS_CONTEXT_OF) {
    return context_of[item];
  }
  return item * params.context_step;
}

// The first of the items that may read a context, and the one past the last.
fn items_of(context: u32) -> vec2u {
  if (!HAS_CONTEXT_OF && params.context_step == 1u) {
    return vec2u(context, context + 1u);
  }
  return vec2u(0u, params.batch);
}

// First channel of a query's head, in q and what has its shape.
fn query_base(item: u32, query: u32, head: u32) -> u32 {
  return ((item * params.queries + query) * params.heads + head) * params.head_size;
}

// First channel of a key's head, in k and what has its shape.
fn key_base(context: u32, key: u32, head: u32) -> u32 {
  return ((context * params.keys + key) * params.heads + head) * params.head_size;
}

// Place of a row of scores in a plane of statistics [B, H, Nq].
fn row_index(item: u32, query: u32, head: u32) -> u32 {
  return (item * params.heads + head) * params.queries + query;
}

// Whether a mask keeps the query from the key.
fn hidden(item: u32, query: u32, key: u32) -> bool {
  if (CAUSAL && key > query) {
    return true;
  }
  if (HAS_KEY_MASK) {
    return key_mask[item * params.keys + key] == 0u;
  }
  return false;
}

// Unscaled score of a key that is not hidden.
fn score(q_base: u32, k_base: u32) -> f32 {
  var dot = 0.0;
  for (var c = 0u; c < params.head_size; c++) {
    dot += f32(q[q_base + c]) * f32(k[k_base + c]);
  }
  return dot;
}

// The same, or the stand-in for a hidden key's.
fn masked_score(is_hidden: bool, q_base: u32, k_base: u32) -> f32 {
  if (is_hidden) {
    return MASKED;
  }
  return score(q_base, k_base);
}
