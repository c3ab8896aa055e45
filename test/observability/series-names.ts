/** Names of series in PromQL: what a rule or a panel asks for, to be held against what the program offers. */
const SELECTORS = /(?<![\w:"])([a-zA-Z_:][\w:]*)\s*(?=[{[])/g;
const STRINGS = /"(?:[^"\\]|\\.)*"/g;
const HISTOGRAM_PARTS = /_(bucket|sum|count)$/;

/** Every name in front of `{...}` or `[...]`; each selector is expected to have one of them. */
export function seriesIn(expr: string): readonly string[] {
  return [...new Set([...expr.replaceAll(STRINGS, '""').matchAll(SELECTORS)].map(([, name]) => name as string))];
}

/** The metric that a series belongs to: without what a histogram adds. Only when the bare name isn't itself a metric. */
export function metricOf(series: string, known: ReadonlySet<string>): string {
  return known.has(series) ? series : series.replace(HISTOGRAM_PARTS, '');
}
