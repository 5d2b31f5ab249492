// Several lambdas as one visitor of a std::variant.
#pragma once

namespace qvd {

template <class... T>
struct Overloaded : T... {
    using T::operator()...;
};
template <class... T>
Overloaded(T...) -> Overloaded<T...>;

}  // namespace qvd
