// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011): 128 random bits
// as a function of a 128-bit counter and a 64-bit key, so that every value can be computed on its own.

// The full product of two 32-bit numbers, low word first: WGSL has no 64-bit integers.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  // Neither sum overflows: (2^16 - 1)^2 + 2^16 - 1 < 2^32.
  let middle = a1 * b0 + (low >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return vec2(a * b, a1 * b1 + (middle >> 16u) + (other >> 16u));
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let even = multiply_wide(0xD2511F53u, c.x);
    let odd = multiply_wide(0xCD9E8D57u, c.z);
    c = vec4(odd.y ^ c.y ^ k.x, odd.x, even.y ^ c.w ^ k.y, even.x);
    k += vec2(0x9E3779B9u, 0xBB67AE85u);
  }
  return c;
}
