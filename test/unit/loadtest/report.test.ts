import { describe, expect, test } from '@jest/globals';
import { comparison, knee, makeReport, rampSteps, type Environment, type Measured, type MeasuredMetric } from '../../../loadtest/lib/report.ts';
import { reportText } from '../../../loadtest/lib/report-text.ts';

const environment: Environment = { target: 'here', version: '1', nodeVersion: '26', replicas: 3, replicationFactor: 3, chartVersion: null, machine: null };
const trend = (p99: number, thresholds: MeasuredMetric['thresholds'] = {}): MeasuredMetric => ({ type: 'trend', contains: 'time', values: { avg: 1, med: 1, 'p(95)': 1, 'p(99)': p99, max: p99, count: 10 }, thresholds });
const counter = (count: number, thresholds: MeasuredMetric['thresholds'] = {}): MeasuredMetric => ({ type: 'counter', contains: 'default', values: { count, rate: 1 }, thresholds });
const measured = (metrics: Measured['metrics']): Measured => ({ metrics, state: { testRunDurationMs: 4000 } });
const options = { scenario: 'steady', profile: 'ci', seed: 1, beganAt: '2026-01-01T00:00:00Z', environment };

test('a run passes when every limit holds', () => {
  const kept = measured({ lost_objects: counter(0, { 'count==0': { ok: true } }) });
  const broken = measured({ lost_objects: counter(1, { 'count==0': { ok: false } }) });
  expect(makeReport(kept, options).isPassed).toBe(true);
  expect(makeReport(broken, options).isPassed).toBe(false);
  expect(reportText(makeReport(broken, options))).toContain('BROKEN  lost_objects count==0');
  expect(makeReport(kept, { ...options, comparisons: [{ what: 'x', isKept: false }] }).isPassed).toBe(false);
});

test('limits that only stop a run, or only show a metric, are no verdict', () => {
  const stopped = measured({ 'http_req_duration{step:1}': trend(3000, { 'p(99)<=2000': { ok: false } }), stale_reads: counter(0, { 'count==0': { ok: true } }), 'http_reqs{a:b}': counter(1, { 'count>=0': { ok: true } }) });
  const report = makeReport(stopped, { ...options, isStop: (metric) => metric.includes('{step:') });
  expect(report.isPassed).toBe(true);
  expect(report.limits).toEqual([{ what: 'stale_reads count==0', isKept: true }]);
});

describe('the knee', () => {
  const step = (rate: number, count: number, p99: number, failed: number): Measured['metrics'] => ({
    [`http_reqs{step:${rate}}`]: counter(count), [`http_req_duration{step:${rate}}`]: trend(p99), [`http_req_failed{step:${rate}}`]: { type: 'rate', contains: 'default', values: { rate: failed } },
  });
  const stepsOf = (metrics: Measured['metrics']): ReturnType<typeof rampSteps> => rampSteps(measured(metrics), { rates: [10, 20, 40, 80], tag: String, seconds: 10, p99Max: 2000, failedShareMax: 0.05 });

  test('is the last step that was answered in full and in time', () => {
    const steps = stepsOf({ ...step(10, 100, 5, 0), ...step(20, 199, 9, 0), ...step(40, 300, 900, 0), ...step(80, 0, 0, 0) });
    expect(steps.map(({ rate, isPassed }) => [rate, isPassed])).toEqual([[10, true], [20, true], [40, false]]);
    expect(knee(steps)?.rate).toBe(20);
  });

  test('is below a step that was slow or failed, even when a later one passed', () => {
    expect(knee(stepsOf({ ...step(10, 100, 5, 0), ...step(20, 200, 2500, 0), ...step(40, 400, 9, 0) }))?.rate).toBe(10);
    expect(knee(stepsOf({ ...step(10, 100, 5, 0), ...step(20, 200, 5, 0.06) }))?.rate).toBe(10);
    expect(knee(stepsOf(step(10, 50, 5, 0)))).toBeNull();
  });
});

test('a comparison holds below the ratio, or below what is fast in any case', () => {
  const compare = (base: number, other: number): boolean =>
    comparison(measured({ 'http_req_duration{a:1}': trend(base), 'http_req_duration{a:2}': trend(other) }), { base: 'a:1', other: 'a:2', ratio: 2, floor: 50 }).isKept;
  expect(compare(100, 199)).toBe(true);
  expect(compare(100, 201)).toBe(false);
  expect(compare(1, 49)).toBe(true);
  expect(comparison(measured({}), { base: 'a:1', other: 'a:2', ratio: 2, floor: 50 }).isKept).toBe(false);
});
