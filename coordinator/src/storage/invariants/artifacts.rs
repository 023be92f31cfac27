//! Artifacts: all of each, and there for whoever refers to it.

use super::{Holds, Invariant};

pub(super) static WHOLE: Invariant = Invariant {
    id: "I23",
    claim: "an artifact has all of its parts, and a checkpoint refers to an artifact and to an attempt that was",
    // That the content has the hash that names it, every worker checks as it reads. To check it here would
    // take all of it through memory.
    holds: Holds::Always,
    query: "
        with stored as (
            select a.sha256, a.bytes, count(c.part) as parts, coalesce(sum(octet_length(c.data)), 0) as found,
                   coalesce(max(c.part) + 1, 0) as last
              from artifact a
              left join artifact_chunk c using (sha256)
             group by a.sha256),
        found as (
            select sha256,
                   format('artifact %s… has %s of %s bytes, in %s parts', left(encode(sha256, 'hex'), 12), found,
                          bytes, parts) as wrong
              from stored
             where found <> bytes
                or parts <> last
                -- Parts are read by their numbers, so each but the last must be full.
                or parts <> (bytes + 262143) / 262144)
        select s.name as study, t.number, c.attempt, found.wrong
          from found
          left join checkpoint c using (sha256)
          left join trial t using (trial_id)
          left join study s using (study_id)
         union all
        select s.name, t.number, c.attempt,
               case when f.sha256 is null then 'the artifact of its checkpoint is not there'
                    else format('its checkpoint is of this attempt, and %s is its last', t.attempt) end
          from checkpoint c
          left join trial t using (trial_id)
          left join study s using (study_id)
          left join artifact f using (sha256)
         where f.sha256 is null
            or (c.attempt between 1 and t.attempt) is not true
         union all
        select distinct null, null::integer, null::integer,
               format('parts of artifact %s… are there, and it is not', left(encode(c.sha256, 'hex'), 12))
          from artifact_chunk c
         where not exists (select from artifact a where a.sha256 = c.sha256)",
};
