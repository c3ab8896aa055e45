/**
 * The program as a pod of the simulated installation: the Kubernetes API is where CHAOS_API says, and a control file tells
 * by how much its wall clock is off and how busy its loop is. It ends with the process that started it. HISTORIES_BUG plants a bug, as in the histories.
 *
 * It exists for tests: all of it happens in memory before the program is loaded, and there is no setting for it.
 */
import { readFileSync } from 'node:fs';
import { Socket, type TcpSocketConnectOpts } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

export interface Control {
  readonly clockShiftMs: number;
  /** Part of the time in which nothing else gets its turn. */
  readonly busyShare: number;
}

const LOOK_MS = 100;
const { CHAOS_API: api = '', CHAOS_CONTROL: controlFile = '', CHAOS_ENTRY_POINT: entryPoint = '', CHAOS_SOURCE: source = '', HISTORIES_BUG: bug = '' } = process.env;

KubeConfig.prototype.loadFromCluster = function loadFromChaos(this: KubeConfig): void {
  this.loadFromClusterAndUser({ name: 'chaos', server: api, skipTLSVerify: true }, { name: 'node' });
};

if (source !== '') {
  const connect = Socket.prototype.connect as (this: Socket, ...args: unknown[]) => Socket;
  Socket.prototype.connect = function connectFromSource(this: Socket, ...args: unknown[]): Socket {
    const first: unknown = Array.isArray(args[0]) ? (args[0] as unknown[])[0] : args[0];
    if (typeof first === 'object' && first !== null && 'host' in first && first.host === '127.0.0.1') (first as TcpSocketConnectOpts).localAddress = source;
    return connect.apply(this, args);
  };
}

let control: Control = { clockShiftMs: 0, busyShare: 0 };
const look = (): void => {
  try {
    control = JSON.parse(readFileSync(controlFile, 'utf8')) as Control;
  } catch {
    // There is none, or it is being written: as it was.
  }
};
look();
const driver = process.ppid;
const wallNow = Date.now;
Date.now = () => wallNow() + control.clockShiftMs;
setInterval(() => {
  // Nobody would ever end it.
  if (process.ppid !== driver) process.kill(process.pid, 'SIGKILL');
  look();
  const endAt = performance.now() + control.busyShare * LOOK_MS;
  while (performance.now() < endAt);
}, LOOK_MS).unref();

await import(entryPoint !== '' ? entryPoint : bug === '' ? '../../src/main.ts' : '../histories/planted-bug-node.ts');
