// The log-variance of a latent, which diffusers' DiagonalGaussianDistribution clamps before it is used.

const LOGVAR_LEAST = -30.0;
const LOGVAR_MOST = 20.0;

fn clamp_logvar(logvar: f32) -> f32 {
  return clamp(logvar, LOGVAR_LEAST, LOGVAR_MOST);
}

// Whether a gradient passes the clamp.
fn is_inside_clamp(logvar: f32) -> bool {
  return logvar >= LOGVAR_LEAST && logvar <= LOGVAR_MOST;
}
