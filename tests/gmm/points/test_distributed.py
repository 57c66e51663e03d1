"""Two processes that hold a part of the points each, against one that holds all of them."""

import multiprocessing
import socket

import pytest
import torch
import torch.distributed as dist

import gmm

FIRST = 37  # of 120 points, the first process's
CASES = [
    ("kmeans", "diag"),
    ("k-means++", "full"),
    ("random", "tied"),
    ("random_from_data", "spherical"),
]


class Batches:
    def __init__(self, x):
        self.x = x

    def __iter__(self):
        return iter(self.x.split(10))


def points():
    generator = torch.Generator().manual_seed(5)
    centers = 4 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    return centers.repeat(20, 1) + torch.randn(120, 3, generator=generator, dtype=torch.float64)


def with_holes():
    """Return the points with missing values that one of the processes has, the other none."""
    x = points()
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(6)) < 0.3
    holes[:FIRST] = False
    return x.masked_fill(holes, torch.nan)


def fitted(data, start, covariance_type, missing=False):
    fits = gmm.fit_many(
        data,
        [2, 4],
        n_init=2,
        start=gmm.Start(start),
        covariance_type=covariance_type,
        max_iter=8,
        reg_covar=1e-3,
        chunk_size=16,
        generator=torch.Generator().manual_seed(1),
        missing=missing,
    )
    parts = [*fits.mixture.tensors(), fits.log_likelihood, fits.best, fits.n_iter]
    return [part.double() for part in parts]


def clustered(data):
    # Centres so far away that some lose all their points, which begin anew elsewhere.
    start = torch.linspace(-60, 60, 15, dtype=torch.float64).reshape(5, 3)
    found = gmm.kmeans(data, 5, init=start, max_iter=20, chunk_size=16)
    return [found.centers, found.inertias, found.n_iter]


def work(rank, port, results):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    own = points()[:FIRST] if rank == 0 else points()[FIRST:]
    found = {case: fitted(gmm.Distributed(own), *case) for case in CASES}
    batches = gmm.Distributed(Batches(own))
    found["batches"] = fitted(batches, *CASES[0])
    own = with_holes()[:FIRST] if rank == 0 else with_holes()[FIRST:]
    for case in CASES:
        found["holes", *case] = fitted(gmm.Distributed(own), *case, missing=True)
    own = points()[:FIRST] if rank == 0 else points()[FIRST:]
    found["kmeans"] = clustered(gmm.Distributed(own))
    results.put((rank, {name: [t.tolist() for t in parts] for name, parts in found.items()}))
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_both():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(rank, port, results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=100) for _ in processes)
    for process in processes:
        process.join(30)
    return found


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("case", [*CASES, "batches"])
def test_a_fit_equals_that_of_one_process(of_both, rank, case):
    expected = fitted(points(), *(CASES[0] if case == "batches" else case))
    for got, wanted in zip(of_both[rank][case], expected, strict=True):
        wanted = wanted.nan_to_num(7)
        torch.testing.assert_close(
            torch.tensor(got, dtype=torch.float64).nan_to_num(7), wanted, rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_a_fit_equals_that_of_one_process_where_one_has_missing_values(of_both, rank, case):
    expected = fitted(with_holes(), *case, missing=True)
    for got, wanted in zip(of_both[rank]["holes", *case], expected, strict=True):
        wanted = wanted.nan_to_num(7)
        torch.testing.assert_close(
            torch.tensor(got, dtype=torch.float64).nan_to_num(7), wanted, rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("rank", [0, 1])
def test_clusters_that_lose_their_points_begin_anew_as_in_one_process(of_both, rank):
    for got, wanted in zip(of_both[rank]["kmeans"], clustered(points()), strict=True):
        torch.testing.assert_close(torch.tensor(got, dtype=wanted.dtype), wanted)


def test_a_part_is_of_one_data_set():
    with pytest.raises(ValueError, match=r"data must be \(N, D\) points, got shape \(2, 4, 3\)"):
        gmm.Distributed(torch.rand(2, 4, 3))
