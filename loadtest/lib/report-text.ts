/** A report as lines for a terminal: the verdict first, then what was measured, then the circumstances. */
import { knee, type Report, type Step } from './report.ts';

/** What people look for, in this order; the rest is in the JSON. */
const SHOWN: readonly (readonly [prefix: string, unit: 'ms' | 'count' | 'share' | 'plain'])[] = [
  ['http_reqs{', 'count'], ['http_req_failed{', 'share'], ['http_req_duration{', 'ms'], ['http_req_waiting{', 'ms'], ['dropped_iterations', 'count'], ['acked_puts', 'count'],
  ['unknown_writes', 'count'], ['unavailable', 'share'], ['failures_without_retry_after', 'count'], ['refused_ms', 'ms'], ['read_your_write_ms', 'ms'],
  ['mib_per_second', 'plain'], ['node_rss_mib', 'plain'], ['node_event_loop_p99_ms', 'ms'], ['node_rss_growth_mib_per_hour', 'plain'],
];

export function reportText(report: Report): string {
  const lines = ['', `${report.scenario}, profile ${report.profile}, seed ${report.seed}: ${report.isPassed ? 'passed' : 'FAILED'} after ${report.seconds.toFixed(0)} s`, ''];
  for (const { what, isKept } of report.limits) lines.push(`  ${isKept ? 'kept  ' : 'BROKEN'}  ${what}`);
  lines.push('');
  for (const [prefix, unit] of SHOWN) {
    for (const [metric, values] of Object.entries(report.metrics)) {
      if (!metric.startsWith(prefix) || /\{(step|expected_response):/.test(metric) || isEmpty(values)) continue;
      lines.push(`  ${metric.padEnd(52)} ${valuesText(values, unit)}`);
    }
  }
  if (report.steps.length > 0) lines.push('', ...report.steps.map(stepText), '', kneeText(report.steps));
  for (const note of report.notes) lines.push(`  ${note}`);
  lines.push('', `  ${environmentText(report)}`, '');
  return lines.join('\n');
}

function isEmpty(values: Readonly<Record<string, number>>): boolean {
  return 'p(99)' in values && values['count'] === 0;
}

function valuesText(values: Readonly<Record<string, number>>, unit: string): string {
  if (values['rate'] !== undefined && values['count'] === undefined) return `${(100 * values['rate']).toFixed(3)} % of ${(values['passes'] ?? 0) + (values['fails'] ?? 0)}`;
  if (values['count'] !== undefined && values['avg'] === undefined) return String(values['count']);
  const suffix = unit === 'ms' ? ' ms' : '';
  if (values['value'] !== undefined) return `${values['value'].toFixed(1)}${suffix}`;
  return ['avg', 'med', 'p(95)', 'p(99)', 'max'].map((name) => `${name} ${(values[name] ?? NaN).toFixed(1)}`).join('  ') + `${suffix} (of ${values['count'] ?? 0})`;
}

function stepText({ rate, reached, p99, failedShare, isPassed }: Step): string {
  return `  ${isPassed ? 'passed' : 'failed'}  ${String(rate).padStart(6)}/s offered  ${reached.toFixed(0).padStart(6)}/s answered  p99 ${p99.toFixed(1)} ms  failed ${(100 * failedShare).toFixed(2)} %`;
}

function kneeText(steps: readonly Step[]): string {
  const highest = knee(steps);
  if (highest === null) return '  No step passed.';
  const isOpen = steps.every(({ isPassed }) => isPassed) ? ' (no step failed: the knee is higher)' : '';
  return `  Highest passing step: ${highest.rate} requests a second, p99 ${highest.p99.toFixed(1)} ms${isOpen}.`;
}

function environmentText({ environment, beganAt }: Report): string {
  const { target, version, nodeVersion, replicas, replicationFactor, chartVersion, machine } = environment;
  const known = (value: string | number | null): string => String(value ?? 'unknown');
  return `${target}: dht ${known(version)} on Node ${known(nodeVersion)}, ${known(replicas)} nodes, ${known(replicationFactor)} copies, chart ${known(chartVersion)}; load from ${known(machine)}; began ${beganAt}`;
}
