import type { Tensor } from "../tensor.ts";
import { ConvBatchNorm, batchNormCounters } from "./batch_norm.ts";
import { Conv2d } from "./layers.ts";
import { type Model, type Parameter, ParameterScope } from "./parameters.ts";
import { ResNet, type ResNetConfig, resNet50 } from "./resnet.ts";

/** Sizes of BioViL's image model. */
export interface BioViLImageConfig {
  /** The ResNet whose last feature maps are projected: ResNet-50, 2048 channels at 1/32 of the image's side. */
  encoder: ResNetConfig;
  /** Channels of the space that images share with texts. */
  projection: number;
}

/** The published one (biovil_image_resnet50_proj_size_128.pt), and that of BioViL-L. */
export const bioViLImage: BioViLImageConfig = { encoder: resNet50, projection: 128 };

/**
 * BioViL's image model (ImageModel of hi-ml-multimodal): a ResNet and a projector of its feature maps into the joint
 * space, patch by patch.
 */
export class BioViLImageModel implements Model {
  /** By key: `encoder.encoder.` for the ResNet, `projector.model.` for the projector. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** The classifiers of the ResNet and of downstream tasks, and counters. */
  readonly ignoredKeys = new RegExp(`^encoder\\.encoder\\.fc\\.|^classifier\\.|${batchNormCounters.source}`);
  /** Folds each batch norm into its convolution. */
  readonly prepare: () => void;
  readonly #encoder: ResNet;
  readonly #hidden: ConvBatchNorm;
  readonly #output: Conv2d;

  constructor({ encoder, projection }: BioViLImageConfig = bioViLImage) {
    const p = new ParameterScope();
    this.parameters = p.all;
    this.prepare = p.prepare;
    this.#encoder = new ResNet(p.at("encoder.encoder"), encoder);
    const mlp = p.at("projector.model");
    this.#hidden = new ConvBatchNorm(mlp.at(0), mlp.at(1), this.#encoder.outChannels, projection, { kernel: 1, eps: 1e-5 });
    this.#output = new Conv2d(mlp.at(3), projection, projection, { kernel: 1 });
  }

  /**
   * images [B, H, W, 3] in [0, 1] to the feature maps of the ResNet [B, H / 32, W / 32, C] and the embeddings of their
   * patches [B, H / 32, W / 32, projection], not normalised.
   */
  forward(images: Tensor): { features: Tensor; embeddings: Tensor } {
    return images.gpu.scope("biovil", () => {
      const features = this.#encoder.forward(images);
      const embeddings = images.gpu.scope("projector", () => this.#output.forward(this.#hidden.forward(features, { activation: "relu" })));
      return { features, embeddings };
    });
  }
}
