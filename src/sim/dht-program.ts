/** The real node as a simulated process: the twin of what `main.ts` wires on Node. */
import type { Rules } from '../domain/rules.ts';
import { DhtNode } from '../node/dht-node.ts';
import type { RingOptions } from '../node/node-options.ts';
import type { NodeTuning } from '../node/node-tuning.ts';
import type { Random } from '../ports/random.ts';
import type { VersionSpan } from '../domain/protocol-versions.ts';
import type { StartProgram } from './sim-node.ts';

export interface DhtProgramOptions {
  readonly ring: RingOptions;
  readonly tuning: NodeTuning;
  /** Virtual milliseconds that a member is down until it is taken out. */
  readonly outAfterMs: number;
  /** What a process of the node with this name speaks, each time it starts. `random` is its own. */
  readonly versionsOf: (name: string, random: Random) => VersionSpan;
  /** ALL_RULES, but for runs that must fail. */
  readonly rules: Rules;
}

export function dhtProgram(options: DhtProgramOptions): StartProgram {
  return async (doors, place) => {
    const { exit, ...ports } = doors;
    const node = await DhtNode.start(
      { ...ports, loopDelayMs: () => 0, mayFound: null, rules: options.rules },
      {
        address: { host: place.host, port: place.port },
        advertise: null,
        listenHost: place.host,
        dataDirectory: '/data',
        join: place.seeds,
        bootstrapExpect: place.bootstrapExpect,
        isJoinOff: false,
        ring: options.ring,
        zone: '',
        weight: 1,
        outAfterMs: options.outAfterMs,
        metricsPerPeer: true,
        transport: 'plaintext',
        versions: options.versionsOf(`${place.host}:${place.port}`, ports.random),
        tuning: options.tuning,
      },
    );
    void node.ended.then((end) => {
      if (end.kind === 'failed') exit(`${end.kind}: ${end.detail}`);
      else if (end.kind === 'identity-lost') void node.stop().then(() => { exit(`${end.kind}: ${end.detail}`); });
    });
    return {
      service: node,
      store: node.store,
      // The store holds a newer one before it is durable and current.
      layout: () => {
        const layout = node.store.layout();
        return layout?.epoch === node.view().epoch ? layout : null;
      },
      logPosition: () => node.store.durablePosition(),
      stop: () => node.stop(),
    };
  };
}
