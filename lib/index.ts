// SPDX-License-Identifier: Apache-2.0
// The package's public surface: exports only.

export { load, EfficientNet, type LoadOptions, type Model } from './model.js';
export type { Classification, ClassifyOptions, EmbedOptions, FeatureMap, FeaturesOptions, RunOptions } from './call-arguments.js';
export type { ModelInfo } from './model-info.js';
export type { Prediction } from './scores.js';
export type { CheckpointFacts } from './config/config.js';
export type { ImageSource, PixelChannels, RawPixels } from './image.js';
export type { Crop, Filter, Recipe, RecipeOptions } from './recipe.js';
export { convert, type Conversion, type ConvertFormat, type ConvertOptions } from './convert.js';
export { EfficientNetError, type ErrorCode } from './errors.js';

export { cpu, type CpuReport, type Isa } from './cpu.js';
export { catalogue, type CatalogueEntry } from './catalogue.js';
export type { FetchProgress } from './fetch/options.js';

export type { Activation, Architecture, BaseNetwork, Stage } from './architecture.js';
export { architectures } from './architectures.js';
export { coefficients, type Coefficients, type EfficientNetName, type Rounding, type ScaleFactors } from './scaling.js';
export {
  buildNetwork,
  type Block,
  type FusedBlock,
  type HeadBlock,
  type MBConvBlock,
  type Network,
  type NetworkOptions,
  type Padding,
  type StemBlock,
} from './network.js';
export { describe, type FeatureShape, type LayerDescription, type NetworkDescription } from './describe.js';
export { scale, scaleLimits, type ScaledNetwork, type ScaleOptions } from './compound/scale.js';
export { paperCoefficients, type CompoundCoefficients, type Constraint } from './compound/constraint.js';
export type { DepthRounding } from './compound/depth.js';
export {
  searchCoefficients,
  SearchError,
  type SearchOptions,
  type SearchPoint,
  type SearchProgress,
  type SearchResult,
} from './compound/search.js';
export { searchObjective, type Evaluation } from './compound/objective.js';
export type { Grid, GridAxis } from './compound/grid.js';
export type { Goal } from './compound/pareto.js';
export { BudgetError, fitBudget, type BudgetKind, type BudgetTrial, type FitBudgetOptions, type FittedNetwork } from './compound/fit-budget.js';
