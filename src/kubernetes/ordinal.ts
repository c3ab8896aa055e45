/** The ordinal in the name of a StatefulSet's pod, `<set>-<ordinal>`; null: it is no pod of that set. */
export function ordinalOf(podName: string, statefulSet: string): number | null {
  const suffix = podName.startsWith(`${statefulSet}-`) ? podName.slice(statefulSet.length + 1) : '';
  return /^(?:0|[1-9]\d{0,8})$/.test(suffix) ? Number(suffix) : null;
}
