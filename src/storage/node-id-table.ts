/**
 * Small numbers for node ids, so that a ballot in the index takes 13 bytes. Number 0 is the zero ballot's node. A ring sees
 * a new id for each wiped disk, so 65,535 of them last; running out ends the process rather than mixing nodes up.
 */
import { assert, must } from '../domain/assert.ts';
import { ZERO_BALLOT } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';

const NODE_IDS_MAX = 65_535;

export class NodeIdTable {
  readonly #ids: NodeId[] = [ZERO_BALLOT.nodeId];
  readonly #numbers = new Map<NodeId, number>([[ZERO_BALLOT.nodeId, 0]]);

  numberOf(id: NodeId): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const number = this.#ids.length;
    assert(number <= NODE_IDS_MAX, 'more node ids than the index can number');
    this.#ids.push(id);
    this.#numbers.set(id, number);
    return number;
  }

  /** All ids by number. */
  all(): readonly NodeId[] {
    return this.#ids;
  }

  idOf(number: number): NodeId {
    return must(this.#ids[number], 'node id of the index');
  }
}
