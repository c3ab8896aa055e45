/** The alerts: held against the metrics of the program, the runbooks and the table for people; promtool, where there is one, plays each. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { CHART, HELM, ROOT, manifests, readText, render } from '../chart/chart-files.ts';
import { knownMetrics } from './offered-metrics.ts';
import { metricOf, seriesIn } from './series-names.ts';

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
interface Groups { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] }

const FILE = path.join(CHART, 'files/rules.yaml');
const UNIT = path.join(import.meta.dirname, 'rules.promtool.yaml');
const rules = (parse(readText(FILE)) as Groups).groups.flatMap((group) => group.rules);
const alerts = rules.filter((rule) => rule.alert !== undefined);
const names = alerts.map((rule) => rule.alert as string).sort();
/** Of Prometheus itself and of kube-state-metrics. */
const ELSEWHERE = /^(up|kube_.*)$/;

describe('the alerts', () => {
  test('each has a severity, a summary, a description and its runbook', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(['warning', 'critical']).toContain(labels?.['severity']);
      expect(annotations?.['summary']).toMatch(/\.$/);
      expect(annotations?.['description']).toMatch(/\.$/);
      expect(annotations?.['runbook_url']).toMatch(new RegExp(`/docs/runbooks/${alert ?? ''}\\.md$`));
    }
  });

  test('each has one runbook with its five parts, and one line in the table', () => {
    expect(readdirSync(path.join(ROOT, 'docs/runbooks')).sort()).toEqual(names.map((name) => `${name}.md`));
    expect([...readText(path.join(ROOT, 'docs/alerts.md')).matchAll(/^\| \[(\w+)\]\(runbooks\/(\w+)\.md\)/gm)].map(([, name, file]) => (name === file ? String(name) : '')).sort()).toEqual(names);
    for (const name of names) {
      const text = readText(path.join(ROOT, `docs/runbooks/${name}.md`));
      for (const part of ['Meaning.', 'Impact.', 'Look.', 'Fix.', 'Escalate.']) expect(text).toContain(`**${part}**`);
    }
  });

  test('each asks only for series that the program offers, of one job', async () => {
    const known = await knownMetrics();
    const recorded = rules.map((rule) => rule.record);
    for (const { expr } of rules) {
      expect(seriesIn(expr).filter((series) => !recorded.includes(series) && !ELSEWHERE.test(series) && !known.has(metricOf(series, known)))).toEqual([]);
      const selectors = [...expr.matchAll(/(?<=[a-z0-9])\{[^}]*\}/g)].map(([selector]) => selector);
      expect(selectors.filter((selector) => !/^\{(job="dht(-canary)?"|statefulset="dht")/.test(selector))).toEqual([]);
    }
  });

  test('each is played', () => {
    const played = new Set([...readText(UNIT).matchAll(/alertname: (\w+)/g)].map(([, name]) => name));
    expect(names.filter((name) => !played.has(name))).toEqual([]);
  });
});

const withPromtool = spawnSync('promtool', ['--version']).status === 0 ? test : test.skip;
if (withPromtool === test.skip) console.warn('skipped: no promtool on the PATH, so the alerts are not played here');

withPromtool('each alert fires when it should, and not when it should not', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', UNIT], { encoding: 'utf8' });
  expect(`${stdout}${stderr}`).toContain('SUCCESS');
  expect(status).toBe(0);
}, 300_000);

const withHelm = HELM === null ? describe.skip : describe;

withHelm('the PrometheusRule', () => {
  const rendered = (args: readonly string[]): string => {
    const outcome = render('one', 'space', ['--set', 'metrics.prometheusRule.enabled=true', ...args]);
    if (outcome.kind === 'failed') throw new Error(outcome.message);
    return outcome.text;
  };
  const ofRelease = (args: readonly string[]): readonly Rule[] => {
    const found = manifests(rendered(args)).find(({ kind }) => kind === 'PrometheusRule');
    return (found?.['spec'] as Groups).groups.flatMap((group) => group.rules);
  };

  test('asks for the nodes and the canary of its own release, and leaves what Prometheus fills in', () => {
    const all = ofRelease(['--set', 'canary.enabled=true']);
    expect(all.map((rule) => rule.alert).filter((name) => name !== undefined).sort()).toEqual(names);
    expect(all.filter(({ expr }) => /job="(?!one-dht(-canary)?",namespace="space")/.test(expr))).toEqual([]);
    expect(all.find(({ alert }) => alert === 'DhtTargetDown')?.annotations?.['description']).toContain('{{ $labels.instance }}');
    expect(rendered([])).toBe(rendered([]));
  });

  test('has the alerts of the canary only where there is one', () => {
    expect(ofRelease([]).some(({ alert }) => alert?.startsWith('DhtCanary') === true)).toBe(false);
  });

  test('leaves out and changes what the values say', () => {
    const all = ofRelease(['--set', 'metrics.prometheusRule.disabled={DhtStorageSlow},metrics.prometheusRule.overrides.DhtTargetDown.for=7m,metrics.prometheusRule.overrides.DhtTargetDown.severity=critical,metrics.prometheusRule.runbookBaseUrl=https://wiki/,metrics.prometheusRule.alertLabels.team=a']);
    expect(all.some(({ alert }) => alert === 'DhtStorageSlow')).toBe(false);
    expect(all.find(({ alert }) => alert === 'DhtTargetDown')).toMatchObject({ for: '7m', labels: { severity: 'critical', team: 'a' }, annotations: { runbook_url: 'https://wiki/DhtTargetDown.md' } });
  });

  test('refuses the name of an alert that does not exist', () => {
    const outcome = render('one', 'space', ['--set', 'metrics.prometheusRule.enabled=true,metrics.prometheusRule.disabled={DhtNoSuch}']);
    expect(outcome.kind === 'failed' ? outcome.message : '').toContain('there is no alert DhtNoSuch');
  });
});
