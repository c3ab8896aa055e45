/** Who is meant and who is there: the two ends of a peer call. */
import type { NodeId } from './ids.ts';

/** Whom to call. `nodeId` null: whoever answers at the address (seeds, before anything is known). */
export interface PeerTarget {
  /** `host:port` to dial. */
  readonly advertise: string;
  readonly nodeId: NodeId | null;
}

/** Who is at the other end of a connection, from its HELLO. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly advertise: string;
  readonly incarnation: number;
}
