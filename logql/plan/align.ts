/**
 * Moves the ends of a metric range query outward to multiples of the step since 1970, as Loki's frontend does; the
 * last point may therefore lie after the requested end.
 */
export function alignRange(startNs: bigint, endNs: bigint, stepNs: bigint): { startNs: bigint; endNs: bigint } {
  const above = endNs % stepNs;
  return {
    startNs: startNs - (((startNs % stepNs) + stepNs) % stepNs),
    endNs: above === 0n ? endNs : endNs - (above < 0n ? above : above - stepNs),
  };
}
