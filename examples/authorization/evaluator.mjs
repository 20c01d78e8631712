/** Decisions by the Cedar policy engine. */

import { readFileSync } from 'node:fs'
import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { entitiesFor } from './directory.mjs'

const text = readFileSync(new URL('policies.cedar', import.meta.url), 'utf8')

/** What Cedar answered, or an error with its reasons. */
function checked(answer) {
  if (answer.type !== 'success') throw new Error(JSON.stringify(answer.errors))
  return answer
}

/** The policies under the names that their `@id` gives them. */
const staticPolicies = Object.fromEntries(
  checked(cedar.policySetTextToParts(text)).policies.map((policy) => [
    /@id\("([^"]+)"\)/.exec(policy)?.[1],
    policy,
  ]),
)
checked(cedar.preparsePolicySet('demo', { staticPolicies }))

/** Evaluates one question; throws if Cedar could not, so that no answer is ever made up. */
export function evaluate(directory, { user, document, query }) {
  const { response } = checked(
    cedar.statefulIsAuthorized({
      principal: { type: 'User', id: query.user },
      action: { type: 'Action', id: query.action },
      resource: { type: 'Document', id: query.resource },
      context: query.context,
      preparsedPolicySetId: 'demo',
      entities: entitiesFor(directory, user, document),
    }),
  )
  const { decision, diagnostics } = response
  if (diagnostics.errors.length > 0) throw new Error(JSON.stringify(diagnostics.errors))
  return { allowed: decision === 'allow', policies: diagnostics.reason }
}
