/**
 * The kinds of panels that the dashboards use, each with one look: a figure to judge by, lines, a row of states, a heat
 * map, bars. A panel can't be made without a title, a unit, and a description that says what to do.
 */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode, BarGaugeValueMode, BigValueColorMode, BigValueGraphMode, GraphThresholdsStyleMode, LegendDisplayMode, LegendPlacement, SortOrder, StackingMode,
  TooltipDisplayMode, VisibilityMode, VizOrientation, GraphThresholdsStyleConfigBuilder, ReduceDataOptionsBuilder, StackingConfigBuilder, VizLegendOptionsBuilder, VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import { DashboardLinkBuilder, MappingType, ThresholdsConfigBuilder, ThresholdsMode, type DashboardLink, type Panel, type ValueMapping } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import { HeatmapColorOptionsBuilder, HeatmapTooltipBuilder, PanelBuilder as Heatmap, YAxisConfigBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Query } from './queries.ts';

export type PanelSource = Builder<Panel>;

/** The variable, never the id of one installation's data source. */
export const DATA_SOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

export interface PanelText {
  readonly title: string;
  /** What it shows, when it is bad, and what to do then. */
  readonly description: string;
  /** Of `@grafana/grafana-foundation-sdk/units`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width?: number;
  readonly height?: number;
  readonly decimals?: number;
}

/** A colour from this value on; the first step has none and holds below all others. */
export type Step = readonly [from: number | null, color: Color];
export type Color = 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'text';

/** Anything above zero is bad, this bad. */
export const NONE_IS_GOOD = (color: Color): readonly Step[] => [[null, 'green'], [Number.MIN_VALUE, color]];

/** Anything but one is bad. */
export const ONE_IS_GOOD: readonly Step[] = [[null, 'red'], [1, 'green'], [1.5, 'red']];

const STAT_WIDTH = 4;
const STAT_HEIGHT = 4;
const GRAPH_WIDTH = 8;
const GRAPH_HEIGHT = 8;

/** Labels whose values mean the same everywhere, and the colours of those values. */
const JUDGED = /\{\{(class|result|state|status)\}\}$/;
const COLORS: readonly (readonly [lines: string, color: Color])[] = [
  ['/\\b(2xx|ok|alive|healthy)$/', 'green'],
  ['/\\b(4xx|suspect|degraded)$/', 'yellow'],
  ['/\\b(5xx|error|failed|down|unavailable|corrupt)$/', 'red'],
];

/** From a line that is a node's to that node. */
const NODE_URL = '/d/dht-node?${datasource:queryparam}&${namespace:queryparam}&${job:queryparam}&var-instance=${__field.labels.instance}&${__url_time_range}';

/** What all kinds of panels of the SDK can do. */
interface CommonPanel {
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  decimals(decimals: number): this;
  datasource(ref: { readonly type: string; readonly uid: string }): this;
  withTarget(target: Builder<Dataquery>): this;
  dataLinks(links: Builder<DashboardLink>[]): this;
  span(width: number): this;
  height(height: number): this;
}

function filled<T extends CommonPanel>(panel: T, text: PanelText, width: number, height: number, format: PromQueryFormat = PromQueryFormat.TimeSeries): T {
  panel.title(text.title).description(text.description).unit(text.unit).datasource(DATA_SOURCE).span(text.width ?? width).height(text.height ?? height);
  if (text.decimals !== undefined) panel.decimals(text.decimals);
  if (text.queries.every(({ legend }) => legend.includes('{{instance}}'))) panel.dataLinks([new DashboardLinkBuilder('This node').url(NODE_URL)]);
  text.queries.forEach(({ expr, legend }, i) => {
    panel.withTarget(new DataqueryBuilder().refId(String.fromCharCode('A'.charCodeAt(0) + i)).datasource(DATA_SOURCE).expr(expr).legendFormat(legend).format(format).range());
  });
  return panel;
}

const thresholds = (steps: readonly Step[]): ThresholdsConfigBuilder => new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps.map(([value, color]) => ({ value, color })));

const latest = (): ReduceDataOptionsBuilder => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

export interface StatText extends PanelText {
  readonly steps?: readonly Step[];
  /** Words in place of numbers. */
  readonly words?: Readonly<Record<string, string>>;
}

/** A figure with its verdict as the colour behind it. */
export function stat(text: StatText): PanelSource {
  const panel = filled(new Stat(), text, STAT_WIDTH, STAT_HEIGHT)
    .reduceOptions(latest())
    .graphMode(BigValueGraphMode.None)
    .colorMode(text.steps === undefined ? BigValueColorMode.None : BigValueColorMode.Background)
    .noValue('no data')
    .thresholds(thresholds(text.steps ?? [[null, 'text']]));
  return text.words === undefined ? panel : panel.mappings([inWords(Object.entries(text.words).map(([value, word]) => ({ value, word })))]);
}

export interface LinesText extends PanelText {
  /** Drawn as a dashed line: what lies beyond it is bad. */
  readonly limit?: number;
  /** Parts of a whole, on top of each other. */
  readonly isStacked?: boolean;
  /** Top of the axis at least, so that noise doesn't look like a mountain. */
  readonly top?: number;
}

/** Values over time. */
export function lines(text: LinesText): PanelSource {
  const panel = filled(new TimeSeries(), text, GRAPH_WIDTH, GRAPH_HEIGHT)
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Bottom).calcs(['lastNotNull', 'max']))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .lineWidth(1)
    .fillOpacity(text.isStacked === true ? 30 : 10)
    .showPoints(VisibilityMode.Never)
    .axisSoftMin(0);
  if (text.queries.some(({ legend }) => JUDGED.test(legend))) for (const [named, color] of COLORS) panel.overrideByRegexp(named, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  if (text.top !== undefined) panel.axisSoftMax(text.top);
  if (text.isStacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (text.limit !== undefined) {
    panel.thresholds(thresholds([[null, 'green'], [text.limit, 'red']])).thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  }
  return panel;
}

export interface StateText extends PanelText {
  /** By number, beginning with 1. */
  readonly states: readonly (readonly [word: string, color: Color])[];
}

/** Which state each node was in, and when. */
export function states(text: StateText): PanelSource {
  return filled(new StateTimeline(), text, GRAPH_WIDTH, GRAPH_HEIGHT)
    .legend(new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).calcs([]))
    .showValue(VisibilityMode.Never)
    .mergeValues(true)
    .fillOpacity(80)
    .thresholds(thresholds([[null, 'text']]))
    .mappings([inWords(text.states.map(([word, color], i) => ({ value: String(i + 1), word, color })))]);
}

/** How often each duration or size occurred, over time: what a quantile hides. */
export function heat(text: PanelText): PanelSource {
  return filled(new Heatmap(), { ...text, unit: 'short' }, GRAPH_WIDTH, GRAPH_HEIGHT, PromQueryFormat.Heatmap)
    .calculate(false)
    .color(new HeatmapColorOptionsBuilder().scheme('Spectral').exponent(0.5).steps(64).reverse(true))
    .yAxis(new YAxisConfigBuilder().unit(text.unit))
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true));
}

export interface BarsText extends PanelText {
  readonly steps?: readonly Step[];
  readonly min?: number;
  readonly max?: number;
}

/** The present value of each node, to compare. */
export function bars(text: BarsText): PanelSource {
  const panel = filled(new BarGauge(), text, GRAPH_WIDTH, GRAPH_HEIGHT)
    .reduceOptions(latest())
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .valueMode(BarGaugeValueMode.Text)
    .thresholds(thresholds(text.steps ?? [[null, 'blue']]));
  if (text.min !== undefined) panel.min(text.min);
  if (text.max !== undefined) panel.max(text.max);
  return panel;
}

function inWords(entries: readonly { readonly value: string; readonly word: string; readonly color?: Color }[]): ValueMapping {
  return { type: MappingType.ValueToText, options: Object.fromEntries(entries.map(({ value, word, color }, index) => [value, { text: word, index, ...(color === undefined ? {} : { color }) }])) };
}
