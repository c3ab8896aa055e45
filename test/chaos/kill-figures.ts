/**
 * Figures of processes killed one after the other, as the other pods see it: how long until they count the member as
 * suspect and as down, what a client without patience is refused meanwhile, and how long it takes from the pod's return
 * until no object lacks a copy.
 */
import { until } from '../kube/kube-client.ts';
import { metric } from '../kube/ring-watch.ts';
import { PodNode, type ClusterRing } from './cluster-ring.ts';
import { Probe, quantile, type Availability } from './probe.ts';

const LOOK_MS = 20;
/** Kubernetes waits longer before each restart of the same container. */
const BACK_MS_MAX = 300_000;
/** What is refused is counted over at least this long after a kill: one in a minute is more often than any ring is hit. */
const OBSERVED_MS = 60_000;
const AFTER_MS = 5_000;
const WHOLE_MS_MAX = 60_000;

export interface KillFigures {
  readonly victim: string;
  readonly suspectMs: readonly number[];
  readonly downMs: readonly number[];
  readonly availability: Availability;
  /** From the kill until the pod was ready again, and from then until nothing lacked a copy. */
  readonly backMs: number;
  readonly wholeMs: number;
  readonly underReplicatedMax: number;
}

/** Kills the process of a pod and waits until all is whole again. `url`: the Service. */
export async function killOne(ring: ClusterRing, ordinal: number, url: string, perSecond: number): Promise<KillFigures> {
  const victim = ring.podName(ordinal);
  const survivors = ring.members.filter(({ name }) => name !== victim);
  const restarts = ring.pod(ordinal).restarts;
  const probe = await Probe.begin(url, perSecond);
  let isOver = false;
  let underReplicatedMax = 0;
  const suspectMs: number[] = [];
  const downMs: number[] = [];
  await pause(1_000);
  await ring.killContainer(ordinal);
  const killedAt = performance.now();
  const looks = survivors.map((node) => watchDown(node, victim, killedAt, suspectMs, downMs, () => isOver));
  const counts = (async () => {
    while (!isOver) {
      for (const { ip } of survivors) underReplicatedMax = Math.max(underReplicatedMax, await metric(ip, 'dht_replication_under_replicated_objects') ?? 0);
      await pause(500);
    }
  })();
  await until(() => Promise.resolve(ring.pod(ordinal).isReady && ring.pod(ordinal).restarts > restarts), BACK_MS_MAX, `${victim} is back`);
  const backMs = performance.now() - killedAt;
  const wholeMs = await until(async () => (await isComplete(ring)) && (await ring.lack()) === null, WHOLE_MS_MAX, 'no object lacks a copy');
  isOver = true;
  await Promise.all([...looks, counts]);
  await pause(Math.max(AFTER_MS, OBSERVED_MS - (performance.now() - killedAt)));
  return { victim, suspectMs, downMs, availability: await probe.end(), backMs, wholeMs, underReplicatedMax };
}

async function isComplete(ring: ClusterRing): Promise<boolean> {
  const lacking = await Promise.all(ring.members.map(({ ip }) => metric(ip, 'dht_replication_under_replicated_objects')));
  return lacking.every((objects) => objects === 0);
}

async function watchDown(node: PodNode, victim: string, killedAt: number, suspectMs: number[], downMs: number[], isOver: () => boolean): Promise<void> {
  let isSuspected = false;
  while (!isOver()) {
    const ring = await node.ring().catch(() => null);
    const member = ring?.members.find(({ name }) => name.split(/[.:]/)[0] === victim);
    if (!isSuspected && (member?.liveness === 'suspect' || member?.liveness === 'down')) {
      isSuspected = true;
      suspectMs.push(performance.now() - killedAt);
    }
    if (member?.liveness === 'down') {
      downMs.push(performance.now() - killedAt);
      return;
    }
    await pause(LOOK_MS);
  }
}

export function killFiguresText(kills: readonly KillFigures[]): readonly string[] {
  const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
  const suspect = sorted(kills.flatMap(({ suspectMs }) => suspectMs));
  const down = sorted(kills.flatMap(({ downMs }) => downMs));
  const requests = kills.reduce((sum, { availability }) => sum + availability.requests, 0);
  const failed = kills.reduce((sum, { availability }) => sum + availability.failed, 0);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const worst = Math.max(0, ...kills.map(({ availability }) => 100 * availability.failed / availability.requests));
  return [
    `${kills.length} kills; counted as suspect after ${seconds(quantile(suspect, 0.5))} (median), ${seconds(quantile(suspect, 0.99))} (p99) of ${suspect.length}; as down after ${seconds(quantile(down, 0.5))}, ${seconds(quantile(down, 0.99))} of ${down.length}`,
    `${failed} of ${requests} requests not answered (${(100 * failed / requests).toFixed(2)} %; worst kill ${worst.toFixed(2)} %); longest gap ${seconds(Math.max(0, ...kills.map(({ availability }) => availability.longestGapMs)))}`,
    `back after ${seconds(quantile(sorted(kills.map(({ backMs }) => backMs)), 0.5))} (median), ${seconds(Math.max(0, ...kills.map(({ backMs }) => backMs)))} (longest); nothing lacks a copy ${seconds(quantile(sorted(kills.map(({ wholeMs }) => wholeMs)), 0.5))} (median), ${seconds(Math.max(0, ...kills.map(({ wholeMs }) => wholeMs)))} (longest) after that; most under-replicated objects ${Math.max(0, ...kills.map(({ underReplicatedMax }) => underReplicatedMax))}`,
  ];
}

/** In words, with what was answered instead. */
export function availabilityText({ requests, failed, longestGapMs, median, p99, reasons }: Availability): string {
  const causes = [...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
  return `${failed} of ${requests} requests not answered (${(100 * failed / Math.max(1, requests)).toFixed(2)} %${causes === '' ? '' : `: ${causes}`}), longest gap ${(longestGapMs / 1000).toFixed(2)} s, median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
