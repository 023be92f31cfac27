//! Points: the same in all their forms, and inside their space.

use super::{Holds, Invariant};

pub(super) static IN_THE_SPACE: Invariant = Invariant {
    id: "I21",
    claim: "a point has a coordinate from 0 to 1 for each parameter, and values for no others",
    holds: Holds::Always,
    query: "
        with known as (
            select study_id, count(*) as parameters, array_agg(name) as names
              from study_param group by study_id),
        point as (
            select study_id, number, params, unit_point from trial
             union all
            select study_id, null, params, unit_point from imported)
        select s.name as study, p.number, null::integer as attempt,
               case when cardinality(p.unit_point) <> k.parameters
                    then format('its point has %s coordinates, and %s parameters are searched',
                                cardinality(p.unit_point), k.parameters)
                    when not exists (select from jsonb_object_keys(p.params) as name
                                      where name <> all (k.names))
                    then format('its point %s leaves the unit cube', p.unit_point)
                    else format('its point %s has parameters that are not searched', p.params) end
               || case when p.number is null then ' (imported)' else '' end as wrong
          from point p
          join study s using (study_id)
          join known k using (study_id)
         where cardinality(p.unit_point) <> k.parameters
            or exists (select from unnest(p.unit_point) as x where (x between 0 and 1) is not true)
            or exists (select from jsonb_object_keys(p.params) as name where name <> all (k.names))
         union all
        select s.name, null, null,
               format('parameter %s is %s in the space and %s in study_param', position,
                      coalesce(w.name, 'absent'), coalesce(d.name, 'absent'))
          from (select study_id, (place - 1)::integer as position, item->>'name' as name
                  from study
                 cross join jsonb_array_elements(space) with ordinality as p (item, place)) w
          full join study_param d using (study_id, position)
          join study s using (study_id)
         where w.name is distinct from d.name",
};
