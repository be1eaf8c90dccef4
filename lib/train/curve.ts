/** One point of a training curve: what was measured after `step` optimizer steps. */
export interface CurvePoint {
  readonly step: number;
  /** Passes over the training subset so far, a fraction where validation falls within one. */
  readonly epoch: number;
  /** Mean training loss since the point before. */
  readonly trainLoss: number;
  readonly valLoss: number;
  /** Validation metrics by name: rmse, absrel, sqrel, logRmse, log10, delta1..delta3, or error (1 - accuracy), or the loss of each modality. */
  readonly metrics: Readonly<Record<string, number>>;
}
