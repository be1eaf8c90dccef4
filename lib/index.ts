/** coregain as a list of verbs. Data flows one way: data -> embed -> reduce -> select -> train -> report. */

// Data

export type { Dataset, Modality, Raster, Sample, StoredImage } from './data/dataset.js';
export { type GenerateOptions, type GenerateResult, generateScenes } from './data/generate.js';
export { type OpenOptions, openDataset } from './data/open.js';
export type { Regime } from './data/scenes.js';

// Embed

export { AGGREGATIONS, type Aggregation } from './embed/aggregate.js';
export { type EmbedOptions, type EmbedResult, embed } from './embed/embed.js';
export { type EmbedTensorsOptions, type EmbedTensorsResult, embedTensors } from './embed/tensors.js';
export type { ElementType } from './formats/elements.js';
export { writeNpy } from './formats/npy.js';
export { openEmbeddings, readColumn, readEmbeddings } from './formats/open.js';
export type { EmbeddingFile, EmbeddingRows, EmbeddingSource, Embeddings } from './formats/source.js';
export { type WriteParquetOptions, writeParquet } from './formats/writeParquet.js';
export type { EmbeddingMatrix } from './matrix.js';
export type { MultimaeConfig } from './models/config.js';
export type { Encoder, EncoderInput, TokenBatch } from './models/encoder.js';
export { readModelConfig } from './models/modelJson.js';
export { type EncoderOptions, openEncoder } from './models/openEncoder.js';
export { type PresetName, presets } from './models/presets.js';
export type { Execution, Placement } from './onnx/placement.js';

// Reduce

export type { LinearModel, PcaSummary } from './reduce/linearModel.js';
export * as pca from './reduce/pca.js';
export { project2d } from './reduce/projection.js';
export { REDUCTIONS, type ReduceOptions, type ReduceResult, type Reduction, reduce } from './reduce/reduce.js';
export * as umap from './reduce/umap.js';

// Select

export { ENGINES, type Engine, GAINS, type PartitionOptions, partition, REMAINDERS } from './select/bins.js';
export { type DrawOptions, draw, parseBudget } from './select/draw.js';
export { type Maximization, type MaximizeOptions, maximize } from './select/maximize.js';
export { naivePartition } from './select/naive.js';
export { naiveMaximize } from './select/objectives/naive.js';
export {
  type Examples,
  type Mixture,
  OBJECTIVES,
  type Objective,
  type ObjectiveName,
  OPTIMIZERS,
  type Optimizer,
  SIMILARITIES,
  type Similarity,
  type SparseRows,
} from './select/objectives/types.js';
export { type RunInput, type RunRecord, runRecord, writeRun } from './select/runRecord.js';
export { readSamples, rowsOfIds, type SelectedSample, samplesOfIds } from './select/samples.js';
export { type SelectOptions, STRATEGIES, type Strategy, select } from './select/select.js';
export { type SieveOptions, type SieveResult, type SieveStream, sieveStream } from './select/sieve.js';
export { type DensityBalancedOptions, densityBalanced } from './select/strategies/densityBalanced.js';
export { type HerdingOptions, herding, naiveHerding } from './select/strategies/herding.js';
export { type ClusterOptions, clusterStrata, groupStrata, oneStratum } from './select/strategies/strata.js';
export type { EngineReport, Gain, Partition, Remainder, Selection } from './select/types.js';
export { type SelectionFiles, type WriteSelectionOptions, writeSelection } from './select/write.js';
export { type WriteTableOptions, writeSelectionTable } from './select/writeTable.js';

// What selection is made of

export {
  type Kernels,
  type KernelsOptions,
  openKernels,
  PRECISIONS,
  type Precision,
  type RowSum,
} from './kernels/kernels.js';

// Train

export { REBUILT, type Rebuilt } from './models/spatialDecoder.js';
export { PRETRAIN_OBJECTIVES, type PretrainObjective } from './pretrain/objectives.js';
export { type PretrainOptions, type PretrainResult, pretrain } from './pretrain/pretrain.js';

// Diagnose

export { type DatasetDiagnosis, type DiagnoseDatasetOptions, diagnose } from './diagnose/dataset.js';
export {
  type Consistency,
  consistency,
  type DiagnoseOptions,
  type Redundancy,
  redundancy,
} from './diagnose/diagnose.js';
export { chooseDimensions, type Dimensions } from './diagnose/dimensions.js';

// Experiment

export { type CompareOptions, compareArms, type ValidationImages } from './experiment/compare.js';
export {
  checkExperiment,
  demoExperiment,
  type ExperimentConfig,
  type ExperimentConfigInput,
} from './experiment/config.js';
export { compareMeasures } from './experiment/measures.js';
export { type ExperimentPlan, planExperiment } from './experiment/plan.js';
export type {
  Arm,
  Comparison,
  DimsChoice,
  ExperimentSummary,
  Interval,
  MeasureRow,
  Protocol,
  RunResult as TrainingRun,
  Task,
  Verdict,
} from './experiment/types.js';

// Report

export { writeReport } from './report/report.js';
export type { ReportFiles, ReportInput, RunFacts } from './report/types.js';

// All of it

export { checkConfig, demoConfig, type RunConfig, type RunConfigInput } from './config.js';
export { type ConfigSource, readConfig } from './configFile.js';
export { type RunOptions, type RunResult, run } from './run.js';
export { type ExperimentResult, runExperiment } from './runExperiment.js';

// Around it

export { bench, writeBench } from './bench/bench.js';
export { benchKernels, type KernelBenchOptions, type KernelBenchReport } from './bench/kernelBench.js';
export type { BenchOptions } from './bench/plan.js';
export type { BenchReport } from './bench/types.js';
export { type DoctorReport, doctor, type Finding, type ProviderFacts } from './doctor.js';
export { ConfigError, CoregainError, DataError, ModelError, NativeError } from './errors.js';
export type { JobOptions, Progress } from './progress.js';
export { version } from './version.js';
