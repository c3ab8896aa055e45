/** Layouts as text in searches: complete, to tell them apart, and short, for traces. */
import type { Layout } from '../../domain/layout.ts';

/** Equal texts, equal layouts. */
export function layoutText(layout: Layout): string {
  const arcs = layout.arcs.map((arc) => ({ ...arc, since: [...arc.since].map(([nodeId, epoch]) => `${nodeId} ${epoch}`).sort() }));
  return JSON.stringify({ ...layout, arcs });
}

/** Such as `2 moving A B C D* voters A B C`: a joiner with a star, a leaver with a minus. */
export function layoutLabel({ epoch, phase, members, voters }: Layout): string {
  const letter = (id: string): string => id.charAt(0).toUpperCase();
  return `layout ${epoch} ${phase} (${members.map((member) => `${letter(member.nodeId)}${member.state === 'joining' ? '*' : member.state === 'leaving' ? '-' : ''}`).join(' ')}; voters ${voters.map(letter).join(' ')})`;
}
