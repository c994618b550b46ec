// What does a model say? Type: node own_weights.mjs MODEL [TEXT_ENCODER], each a folder or a URL
import { loadPipeline, openGpu } from "attnscope";

const [model, textEncoder] = process.argv.slice(2);
const gpu = await openGpu();
const pipeline = await loadPipeline(gpu, model, {
  textEncoder, // in place of the model's own
  ema: false, // true: the moving averages, unet_ema/ or unet_lora_ema/
  dtype: "f32", // or f16, where the device has shader-f16
  onProgress: (part, bytes, total) => process.stderr.write(`\r${part}: ${bytes} of ${total} bytes `),
});
const { sha256, textEncoderName, lora, vae, unet } = pipeline.ldm;
console.log(JSON.stringify({ sha256, textEncoderName, lora, side: vae.config.sampleSize, layers: unet.crossAttentions.length }));
gpu.close();
