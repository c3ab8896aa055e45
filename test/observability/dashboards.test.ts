/**
 * The committed dashboards: made of their sources, by the rules of Grafana's dashboard-linter and some more, asking only
 * for what the program offers. Exclusions are in charts/dashboards/.lint.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { dashboardFiles as made } from '../../charts/dashboards/all.ts';
import { askingPanels, dashboardFiles, dashboardTexts, type DashboardFile, type Panel, type Target } from './dashboard-files.ts';
import { knownMetrics } from './offered-metrics.ts';
import { metricOf, seriesIn } from './series-names.ts';

type Rule = 'target-job-rule' | 'target-instance-rule' | 'target-rate-interval-rule';
interface Lint {
  readonly exclusions: Readonly<Record<Rule, { readonly reason: string; readonly entries: readonly { readonly dashboard: string; readonly panel: string }[] }>>;
}

const UNITS = new Set<unknown>(Object.values(units));
/** What a counter may be put into; the two last look at restarts. */
const OVER_TIME = /(?:rate|increase|changes|resets)\($/;
const OURS = /^(dht|process|nodejs|up)(_|$)/;
const files = dashboardFiles();
const { exclusions } = parse(readFileSync(path.resolve(import.meta.dirname, '../../charts/dashboards/.lint'), 'utf8')) as Lint;
const isExcluded = (rule: Rule, dashboard: DashboardFile, panel: Panel): boolean => exclusions[rule].entries.some((entry) => entry.dashboard === dashboard.title && entry.panel === panel.title);

const targets: readonly (readonly [where: string, DashboardFile, Panel, Target])[] = files.flatMap((dashboard) => askingPanels(dashboard)
  .flatMap((panel) => panel.targets.map((target) => [`${dashboard.uid}, ${panel.title}, ${target.refId}`, dashboard, panel, target] as const)));
/** Each selector of an expression: its name, its matchers, the range behind it, and what stands before it. */
const selectors = (expr: string): readonly { readonly series: string; readonly matchers: string; readonly window: string | null; readonly before: string }[] => [...expr.matchAll(/([a-zA-Z_:][\w:]*)\{([^}]*)\}(?:\[([^\]]+)\])?/g)]
  .map((match) => ({ series: match[1] ?? '', matchers: match[2] ?? '', window: match[3] ?? null, before: expr.slice(0, match.index) }));
const uidsIn = (value: unknown): readonly unknown[] => (typeof value !== 'object' || value === null ? [] : Object.entries(value)
  .flatMap(([key, field]) => (key === 'datasource' ? [(field as { readonly uid?: unknown }).uid] : uidsIn(field))));

test('are what their sources make: npm run dashboards', () => {
  expect([...dashboardTexts().keys()]).toEqual([...made().keys()].sort());
  for (const [name, text] of made()) expect([name, dashboardTexts().get(name)]).toEqual([name, text]);
});

test('each is small enough for an object of Kubernetes that kubectl applies', () => {
  for (const text of dashboardTexts().values()) expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
});

describe.each(files.map((dashboard) => [dashboard.uid, dashboard] as const))('%s', (uid, dashboard) => {
  test('stays itself over upgrades, and leads to the others', () => {
    expect([...dashboardTexts().keys()]).toContain(`${uid}.json`);
    expect(dashboard.tags).toEqual(['dht']);
    expect(dashboard.editable).toBe(false);
    expect(dashboard.links).toEqual([expect.objectContaining({ type: 'dashboards', tags: ['dht'], keepTime: true, includeVars: true })]);
    expect(dashboard.links[0]).not.toHaveProperty('placement');
  });

  test('shows the last hour, anew every half minute, with one crosshair', () => {
    expect([dashboard.time, dashboard.refresh, dashboard.graphTooltip]).toEqual([{ from: 'now-1h', to: 'now' }, '30s', 1]);
  });

  test('names no data source but the variable', () => {
    const uids = uidsIn(dashboard);
    expect(uids.length).toBeGreaterThan(10);
    expect([...new Set(uids)]).toEqual(['${datasource}']);
  });

  test('has the variables that the linter wants', () => {
    const [source, namespace, job, instance] = dashboard.templating.list;
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'namespace', 'job', 'instance']);
    expect(source).toMatchObject({ type: 'datasource', query: 'prometheus', label: 'Data source' });
    expect(namespace).toMatchObject({ type: 'query', label: 'Namespace', multi: false, includeAll: false, refresh: 2 });
    for (const [variable, label] of [[job, 'Job'], [instance, 'Instance']] as const) {
      expect(variable).toMatchObject({ type: 'query', label, multi: true, includeAll: true, allValue: '.+', refresh: 2 });
    }
  });

  test('each panel has a title of its own, a description that says something, a unit and a legend', () => {
    const panels = askingPanels(dashboard);
    expect(panels.length).toBeGreaterThan(10);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    for (const panel of panels) {
      expect([panel.title, panel.description.length > 60]).toEqual([panel.title, true]);
      expect(UNITS).toContain(panel.fieldConfig.defaults.unit);
      if (panel.options.yAxis?.unit !== undefined) expect(UNITS).toContain(panel.options.yAxis.unit);
      expect(panel.targets.length).toBeGreaterThan(0);
      for (const { legendFormat } of panel.targets) expect(legendFormat).not.toBe('');
    }
  });

  test('a line that is a node\'s leads to that node', () => {
    const perNode = askingPanels(dashboard).filter(({ targets: asked }) => asked.every(({ legendFormat }) => legendFormat.includes('{{instance}}')));
    expect(perNode.length).toBeGreaterThan(0);
    for (const { fieldConfig } of perNode) expect(fieldConfig.defaults.links?.map(({ url }) => url)).toEqual([expect.stringMatching(/^\/d\/dht-node\?.*&var-instance=\$\{__field\.labels\.instance\}/)]);
  });

  test('no two panels lie on each other, and none hangs over the edge', () => {
    const taken = new Set<string>();
    for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
      expect([title, x + w <= 24]).toEqual([title, true]);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect([title, taken.has(`${column}/${line}`)]).toEqual([title, false]);
          taken.add(`${column}/${line}`);
        }
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });
});

describe('queries', () => {
  let known: ReadonlySet<string>;
  beforeAll(async () => { known = await knownMetrics(); });

  test.each(targets)('%s asks for what was chosen, and for what exists', (_where, dashboard, panel, { expr }) => {
    expect(selectors(expr).map(({ series }) => series).sort()).toEqual(expect.arrayContaining([...seriesIn(expr)].sort()));
    for (const { series, matchers } of selectors(expr)) {
      expect(matchers).toContain('namespace=~"$namespace"');
      if (!isExcluded('target-job-rule', dashboard, panel)) expect(matchers).toContain('job=~"$job"');
      if (!isExcluded('target-instance-rule', dashboard, panel)) expect(matchers).toContain('instance=~"$instance"');
      if (OURS.test(series) && series !== 'up') expect(known).toContain(metricOf(series, known));
    }
  });

  test.each(targets)('%s takes counters over time, as long as the scrapes need', (_where, dashboard, panel, { expr }) => {
    for (const { series, window, before } of selectors(expr)) {
      const isCounter = /_(total|bucket|sum|count)$/.test(series);
      expect([series, isCounter]).toEqual([series, window !== null]);
      if (!isCounter) continue;
      expect([series, OVER_TIME.test(before)]).toEqual([series, true]);
      const isOverRange = window === '$__range' && before.endsWith('increase(');
      if (!isOverRange && !isExcluded('target-rate-interval-rule', dashboard, panel)) expect([series, window]).toEqual([series, '$__rate_interval']);
    }
  });

  test('every exclusion has a reason, and a panel that needs it', () => {
    for (const [rule, { reason, entries }] of Object.entries(exclusions)) {
      expect(reason.length).toBeGreaterThan(20);
      for (const entry of entries) expect([rule, entry, targets.some(([, dashboard, panel]) => isExcluded(rule as Rule, dashboard, panel) && dashboard.title === entry.dashboard)]).toEqual([rule, entry, true]);
    }
  });
});
