/** Shape of a MultiMAE encoder: exactly the content of `model.json`. */
export interface MultimaeConfig {
  /** `official` = EPFL-VILAB/MultiMAE; `paper` = the code of arXiv 2502.15834. */
  variant: 'official' | 'paper';
  /** Token width D. */
  dim: number;
  /** Number of transformer blocks L. */
  depth: number;
  heads: number;
  /** Patch side in pixels of the full-size image. */
  patch: number;
  /** Image side in pixels that the position embeddings are made for. */
  image: number;
  /** Number of semantic classes, without the padding row. */
  semsegClasses: number;
  /** Labels are given at 1 / stride of the image side. */
  semsegStride: number;
  /** Whether `class_emb` has one more row for a padding id. */
  semsegPadding: boolean;
  /** Width of the class embedding. */
  classEmbedding: number;
  globalTokens: number;
  /** Token order: modalities as listed, then the global tokens. */
  modalities: ('rgb' | 'semseg')[];
}
