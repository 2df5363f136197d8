/**
 * What a client connects to, as its path says it: `/mcp` is `all`; `/mcp/<name>` a group or a server, decided anew by
 * the settings of the moment.
 */
export type EndpointName = { readonly kind: 'all' } | { readonly kind: 'named'; readonly name: string }

export const ALL: EndpointName = { kind: 'all' }
