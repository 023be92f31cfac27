-- Two more ways to choose points, and a choice of the first ones.
alter table study drop constraint algorithm_is_known;
alter table study
    add constraint algorithm_is_known check (
        algorithm in ('gaussian_process', 'random', 'grid', 'sobol', 'tpe', 'evolution')),
    add column start_design text not null default 'sobol',  -- what the start_points are: latin_hypercube, sobol or random
    add constraint start_design_is_known check (
        start_design in ('latin_hypercube', 'sobol', 'random'));

comment on column v1.studies.algorithm is
    'gaussian_process, random, grid, sobol, tpe (tree-structured Parzen estimator) or evolution (regularised).';
comment on column v1.trials.origin is
    'Why the point was chosen: start, acquisition, plateau, parzen, mutation, random, grid, sobol or enqueued.';
comment on column v1.suggestions.origin is
    'start, acquisition, plateau, parzen, mutation, random, grid or sobol.';
comment on column v1.suggestions.acquisition is
    'Log expected improvement: natural logarithm, of the objective''s unit. For origin parzen the logarithm of the ratio of good to bad density.';
