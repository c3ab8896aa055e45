/**
 * Every query of every dashboard, asked of a real Prometheus that scrapes a real ring of three processes under load, while
 * one of them joins, is killed and comes back. None may be refused, and none may come back empty, but for those named here.
 * Without `prometheus` on the PATH it is skipped.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Load, http } from '../support/persistent-load.ts';
import { RealRing, freePorts, until, type RealNode } from '../support/real-ring.ts';
import { askingPanels, dashboardFiles } from './dashboard-files.ts';
import { HAS_PROMETHEUS, OTHER_JOB, PrometheusServer } from './prometheus-server.ts';

const JOB = 'dht';
/**
 * What Grafana puts in place of the variables: all jobs, all instances, no namespace, and times that fit scrapes a second apart. A
 * subquery looks at whole multiples of its step: at 30 s it would often see none of a run that is shorter.
 */
const VARIABLES: Readonly<Record<string, string>> = { $namespace: '', $job: '.+', $instance: '.+', $__rate_interval: '15s', $__range: '60s', ':30s]': ':1s]' };

/** Panels that a ring outside Kubernetes leaves empty, and why. */
const EMPTY: ReadonlyMap<string, string> = new Map([
  ['Pods wanted and ready', 'kube-state-metrics offers it'],
  ['Restarts of containers', 'kube-state-metrics offers it'],
  ['Memory of containers, of their limit', 'the kubelet and kube-state-metrics offer it'],
  ['Volumes used', 'the kubelet offers it'],
  ['Requests by token', 'this gateway asks for no tokens'],
  ['Calls to the Kubernetes API', 'only a node in a pod makes these calls'],
  ['Since the Kubernetes API answered', 'only a node in a pod asks it'],
]);

const filled = (expr: string): string => Object.entries(VARIABLES).reduce((text, [name, value]) => text.replaceAll(name, value), expr);
const seconds = (count: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, count * 1000); });

/** What the load doesn't ask for: a large body, a listing, a delete, a name that isn't there. */
async function otherRequests(url: string): Promise<void> {
  const statuses: number[] = [];
  for (const [method, route, body] of [['PUT', '/large', Buffer.alloc(1_000_000)], ['GET', '/large', null], ['GET', '', null], ['DELETE', '/large', null], ['GET', '/large', null]] as const) {
    statuses.push((await http(method, `${url}/v1/objects${route}`, body)).status);
  }
  expect(statuses).toEqual([201, 200, 200, 204, 404]);
}

if (!HAS_PROMETHEUS) console.warn('skipped: no prometheus on the PATH, so no dashboard is asked of one here');

(HAS_PROMETHEUS ? describe : describe.skip)('on a real Prometheus', () => {
  let ring: RealRing;
  let prometheus: PrometheusServer;
  let canary: ChildProcess;
  let beginMs: number;

  beforeAll(async () => {
    ring = await RealRing.create({ flags: ['--metrics-per-peer'] });
    const founder = await ring.startNew([]);
    const second = await ring.startNew([founder]);
    const third = await ring.add();
    const address = (node: RealNode): string => `127.0.0.1:${node.adminPort}`;
    const [canaryPort = 0] = await freePorts(1);
    canary = spawn(process.execPath, [
      path.resolve(import.meta.dirname, '../../src/main.ts'), 'canary', '--url', founder.url, '--url', second.url, '--port', String(canaryPort), '--objects', '8', '--rate', '20',
    ], { stdio: 'ignore' });
    prometheus = await PrometheusServer.start(JOB, [
      ...ring.nodes.map((node) => ({ address: address(node), labels: { pod: `dht-${node.index}` } })),
      { address: `localhost:${canaryPort}`, labels: { job: `${JOB}-canary` } },
    ]);
    beginMs = Date.now();
    const load = new Load(founder.url, 'shelf');
    await seconds(3);
    ring.start(third, ['--join', founder.name]);
    await ring.untilReady(third, 60_000);
    await until(async () => (await founder.ring()).phase === 'stable' && (await founder.ring()).members.length === 3, 60_000, 'the third node has joined');
    await otherRequests(second.url);
    await seconds(3);
    const downSeenBy = (node: RealNode): Promise<boolean> => node.ring().then((view) => view.members.some((member) => member.liveness === 'down'));
    third.kill('SIGKILL');
    await third.exited;
    await until(async () => await downSeenBy(founder) && downSeenBy(second), 60_000, 'both others see that one is down');
    await seconds(2);
    ring.start(third, ['--join', founder.name]);
    await ring.untilReady(third, 60_000);
    await seconds(5);
    expect((await load.stop()).operations).toBeGreaterThan(0);
    // The last scrape may have been before the last operation.
    await seconds(1.5);
  }, 300_000);

  afterAll(async () => {
    canary.kill('SIGKILL');
    await prometheus.stop();
    await ring.stop();
  });

  test.each(dashboardFiles().flatMap((dashboard) => askingPanels(dashboard).map((panel) => [dashboard.uid, panel.title, panel] as const)))('%s: %s', async (_uid, title, { targets }) => {
    const empty: string[] = [];
    for (const { expr } of targets) {
      const series = await prometheus.range(filled(expr), (Date.now() - beginMs) / 1000);
      // With all jobs chosen, nothing but the ring is shown.
      expect(series.filter(({ metric }) => metric['job'] === OTHER_JOB || metric['instance'] === prometheus.address)).toEqual([]);
      if (!series.some(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))))) empty.push(expr);
    }
    if (EMPTY.has(title)) expect(empty.length).toBe(targets.length);
    else expect(empty).toEqual([]);
  });

  test.each(dashboardFiles().map((dashboard) => [dashboard.uid, dashboard] as const))('%s: the variables find the job and all instances', async (_uid, { templating, annotations }) => {
    const found = (name: string): Promise<readonly string[]> => {
      const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(templating.list.find((variable) => variable.name === name)?.definition ?? '') ?? [];
      return prometheus.labelValues(label, filled(selector));
    };
    expect(await found('job')).toEqual([JOB]);
    expect(await found('instance')).toHaveLength(3);
    expect(await found('namespace')).toEqual([]);
    for (const { expr } of annotations.list) if (expr !== undefined) expect((await prometheus.range(filled(expr), (Date.now() - beginMs) / 1000)).length).toBeGreaterThan(0);
  });
});
