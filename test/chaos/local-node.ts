/**
 * The program as a pod of the simulated installation: the Kubernetes API is where CHAOS_API says, and a control file tells
 * by how much its wall clock is off and how busy its loop is. HISTORIES_BUG plants a bug, as in the histories.
 *
 * It exists for tests: all of it happens in memory before the program is loaded, and there is no setting for it.
 */
import { readFileSync } from 'node:fs';
import { KubeConfig } from '@kubernetes/client-node';

export interface Control {
  readonly clockShiftMs: number;
  /** Part of the time in which nothing else gets its turn. */
  readonly busyShare: number;
}

const LOOK_MS = 100;
const { CHAOS_API: api = '', CHAOS_CONTROL: controlFile = '', CHAOS_ENTRY_POINT: entryPoint = '', HISTORIES_BUG: bug = '' } = process.env;

KubeConfig.prototype.loadFromCluster = function loadFromChaos(this: KubeConfig): void {
  this.loadFromClusterAndUser({ name: 'chaos', server: api, skipTLSVerify: true }, { name: 'node' });
};

let control: Control = { clockShiftMs: 0, busyShare: 0 };
const look = (): void => {
  try {
    control = JSON.parse(readFileSync(controlFile, 'utf8')) as Control;
  } catch {
    // There is none, or it is being written: as it was.
  }
};
look();
const wallNow = Date.now;
Date.now = () => wallNow() + control.clockShiftMs;
setInterval(() => {
  look();
  const endAt = performance.now() + control.busyShare * LOOK_MS;
  while (performance.now() < endAt);
}, LOOK_MS).unref();

await import(entryPoint !== '' ? entryPoint : bug === '' ? '../../src/main.ts' : '../histories/planted-bug-node.ts');
