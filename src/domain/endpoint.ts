/**
 * What a client connects to, as its path says it: `/mcp` is `all`; `/mcp/<name>` a group or a server, decided anew by
 * the settings of the moment. `server` is a server whatever groups there are; no path leads there.
 */
export type EndpointName =
  | { readonly kind: 'all' }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'server'; readonly name: string }

export const ALL: EndpointName = { kind: 'all' }
