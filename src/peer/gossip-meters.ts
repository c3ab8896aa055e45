/**
 * Membership traffic for Prometheus: messages of the ring family, which are pings with what they gossip, joins and layouts,
 * by kind, and their bytes. What this node says to itself doesn't count, nor does HELLO. A dozen a second at rest.
 */
import type { Counter, Labels, Meter } from '../ports/meter.ts';
import { RING_KINDS, type MessageKind } from '../protocol/codec.ts';

const DIRECTIONS = ['in', 'out'] as const;
type Direction = (typeof DIRECTIONS)[number];

export class GossipMeters {
  readonly #messages: Counter;
  readonly #bytes: Counter;
  /** Also tells which kinds count. */
  readonly #labels: Readonly<Record<Direction, ReadonlyMap<MessageKind, Labels>>>;

  constructor(meter: Meter) {
    const labels = (direction: Direction): ReadonlyMap<MessageKind, Labels> => new Map(RING_KINDS.map((type) => [type, { direction, type }]));
    this.#labels = { in: labels('in'), out: labels('out') };
    this.#messages = meter.counter({
      name: 'dht_gossip_messages_total', help: 'Membership messages exchanged with other nodes, by kind.', labelNames: ['direction', 'type'],
      initial: DIRECTIONS.flatMap((direction) => [...this.#labels[direction].values()]),
    });
    this.#bytes = meter.counter({
      name: 'dht_gossip_bytes_total', help: 'Bytes of membership messages exchanged with other nodes.', labelNames: ['direction'],
      initial: DIRECTIONS.map((direction) => ({ direction })),
    });
  }

  /** A message came or went; others than those of the ring family don't count. */
  passed(direction: Direction, kind: MessageKind, bytes: number): void {
    const labels = this.#labels[direction].get(kind);
    if (labels === undefined) return;
    this.#messages.add(1, labels);
    this.#bytes.add(bytes, { direction });
  }
}
